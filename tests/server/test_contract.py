"""Tests of a source's contract over HTTP: a broken one is refused by its field, or answered with warnings."""

from __future__ import annotations

import msgspec
import pytest

from headway.deploy.serving import publish, release_definitions
from headway.nouns.contract import ColumnContract, Contract
from headway.online.fill import fill
from headway.predictions.reader import Reader
from headway.query.database import Database

AMOUNT = ColumnContract(kind="float", at_least=0.0, at_most=100_000.0)
AS_OF_US = 1_710_892_800_000_000
DAY_US = 86_400_000_000


@pytest.fixture
def serving(place):
    """Return what starts a server whose release came with a contract."""

    def start(policy):
        release = place.project.release()
        orders = msgspec.structs.replace(release.brief.sources["orders"], contract=policy)
        brief = msgspec.structs.replace(release.brief, sources={**release.brief.sources, "orders": orders})
        agreed = Contract(source="orders", columns={"amount": AMOUNT})
        release = msgspec.structs.replace(release, brief=brief, contract=agreed)
        definitions = release_definitions(release)
        with Database(threads=1) as database:
            engine = place.project.point_in_time(database, definitions)
            store = fill(
                definitions, engine, as_of_us=AS_OF_US, since_us=AS_OF_US - 10 * DAY_US, blobs=place.project.blobs
            )
        publish(place.folder / "serving", release=release, store=store)
        return place.start()

    return start


def test_a_row_that_breaks_a_blocking_contract_is_refused_and_not_logged(serving, rows):
    """422 names the field, what was found and what is wanted."""
    server = serving("block")
    assert server.predict({"row": {**rows[0], "amount": 5}}).status == 200
    answer = server.predict({"row": {**rows[0], "amount": -999}})
    assert answer.status == 422
    assert answer.json["where"] == "row.amount"
    assert "'amount' is -999.0; wanted by the contract of 'orders': from 0 to 100000." in answer.json["error"]
    assert sum(len(part.predictions) for part in Reader(server.folder / "log").scan()) == 1


def test_with_warn_the_reply_the_log_and_the_metrics_say_it_and_a_repetition_is_the_same(serving, rows):
    """Only a row at fault has warnings; the reply to a repeated key comes from the log, byte for byte."""
    server = serving("warn")
    fits, broken = {**rows[0], "amount": 5}, {**rows[0], "amount": -999}
    assert "warnings" not in server.predict({"row": fits}).json
    assert "contract_warnings" not in server.ask("GET", "/metrics").body.decode()
    first = server.predict({"rows": [fits, broken]}, headers={"Idempotency-Key": "k"})
    again = server.predict({"rows": [fits, broken]}, headers={"Idempotency-Key": "k"})
    assert (first.status, first.body) == (200, again.body)
    good, bad = first.json["predictions"]
    assert "warnings" not in good
    assert len(bad["warnings"]) == 1
    assert list(Reader(server.folder / "log").read(bad["id"]).warnings) == bad["warnings"]
    assert "headway_contract_warnings_total 1\n" in server.ask("GET", "/metrics").body.decode()
