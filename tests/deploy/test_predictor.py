"""Tests of the predictor: it acts where the release says, and refuses what does not fit."""

from __future__ import annotations

import json

import msgspec
import pytest

from headway.deploy.predictor import Predictor
from headway.deploy.serving import Current, load_predictor, release_definitions
from headway.errors import RequestError, StoreCorrupt
from headway.nouns.release import Release


def answer(predictor, row):
    """Return the answer to one row."""
    return predictor.predict(predictor.contract.decode(json.dumps({"row": row}).encode()), now_us=1)[0]


def test_a_quota_acts_on_the_cutoff_and_a_threshold_above_it(project, store, predictor, row):
    """The k-th highest of a typical day is in the quota; 'score > 0.6' does not mean 0.6."""
    score = answer(predictor, row).score
    brief = msgspec.structs.replace(
        project.definitions.brief,
        target=msgspec.structs.replace(project.definitions.brief.target, act_on="score > 0.5"),
    )
    release = project.release(cutoff=score)
    by_quota = load_predictor(Current(epoch=1, release=release, store=store), project.blobs)
    by_threshold = load_predictor(
        Current(epoch=1, release=msgspec.structs.replace(release, brief=brief), store=store), project.blobs
    )
    assert answer(by_quota, row).act
    assert not answer(by_threshold, row).act
    assert by_threshold.acts_on(score + 1e-9)
    assert not by_quota.acts_on(score - 1e-9)


def test_a_graph_of_other_columns_is_refused(project, predictor):
    """A release that mixes one brief with another's graph does not load."""
    fewer = msgspec.structs.replace(
        project.definitions.brief, features={"product": project.definitions.brief.features["product"]}
    )
    definitions = release_definitions(msgspec.structs.replace(project.release(), brief=fewer))
    with pytest.raises(StoreCorrupt, match="other columns"):
        Predictor(definitions, predictor.scorer, predictor.store, release="r", model="m", cutoff=0.5)


def test_a_graph_of_another_order_gives_the_same_scores(project, store, predictor, rows):
    """Features go to the graph by name; the log keeps them in the brief's order."""
    turned = dict(reversed(project.definitions.brief.features.items()))
    brief = msgspec.structs.replace(project.definitions.brief, features=turned)
    release = msgspec.structs.replace(project.release(), brief=brief)
    other = load_predictor(Current(epoch=1, release=release, store=store), project.blobs)
    for row in rows[:20]:
        here, there = answer(predictor, row), answer(other, row)
        assert here.score == there.score
        assert here.features == there.features[::-1]


def test_a_row_that_cannot_be_computed_names_its_place(predictor, row):
    """The contract is kept, and still there is no such day."""
    bad = {**row, "month": 2, "day": 31}
    with pytest.raises(RequestError) as caught:
        answer(predictor, bad)
    assert caught.value.where == "row"
    body = json.dumps({"rows": [row, bad]}).encode()
    with pytest.raises(RequestError) as caught:
        predictor.predict(predictor.contract.decode(body), now_us=1)
    assert caught.value.where == "rows[1]"


def test_a_logged_row_can_be_asked_again(predictor, rows):
    """The log keeps what a client would send: the same answer comes of it."""
    for row in rows[:50]:
        first = answer(predictor, row)
        again = answer(predictor, {name: value for name, value in first.row.items() if value is not None})
        assert (first.features, first.key, first.row) == (again.features, again.key, again.row)


def test_a_release_survives_being_written(project):
    """JSON and back, the order of features and of derived columns included; what is none is refused."""
    release = project.release()
    back = Release.from_json(release.to_json())
    assert back == release
    assert list(back.brief.features) == list(release.brief.features)
    assert list(back.brief.sources["orders"].derive) == list(release.brief.sources["orders"].derive)
    assert back.digest == release.digest
    with pytest.raises(StoreCorrupt):
        Release.from_json(b'{"id": "r1"}')


def test_a_number_is_answered_as_a_prediction():
    """A score is what orders; a number is what is expected."""
    import json

    from headway.deploy.predictor import reply
    from headway.nouns.prediction import Prediction

    said = Prediction(
        served_us=2, predict_at_us=0, release="r1", model="9f", score=47.5, act=True, key={}, row={}, features=()
    )
    answer = json.loads(reply([said], ["a"], single=True, task="number"))
    assert (answer["prediction"], "score" in answer) == (47.5, False)
