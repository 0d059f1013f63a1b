"""Features are proposed that carry what a brief lacks, and the test period has no say in it."""

from __future__ import annotations

import random
import tomllib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headway.define.suggest import line_of, proposals, with_lines
from headway.errors import BriefError, DataError
from headway.loop.suggest import suggest
from headway.nouns.brief_text import parse_brief
from headway.query.resolver import resolve

HOUR = 3_600_000_000
BRIEF = """
[sources.trips]
path = "trips.parquet"
key = ["id"]
time = "at"
known = { "*" = "at - interval 1 day", late = "at + interval 1 hour" }
[sources.lines]
path = "lines.parquet"
key = ["line"]
[target]
examples = "trips"
predict_at = "at"
label = "late"
label_known_at = "at + interval 1 hour"
act_on = "top 5 per day"
[features]  # what we have
line = "line"
load = "load"  # and this
[split]
train_before = 1970-01-31
validate_before = 1970-02-12
test_before = 1970-02-20
[success]
minimum = 0.1
good_enough = 0.9
"""
KINDS = {
    "trips": {"id": "int", "line": "text", "load": "float", "at": "time", "late": "bool"},
    "lines": {"line": "text", "age": "int"},
}


def _files(folder, *, test):
    """Write fifty days on which each line has bad days of its own; ``test`` says what the last of them come to."""
    rnd, rows = random.Random(5), []
    for day in range(50):
        bad = {line: rnd.random() < 0.3 for line in "abcd"}
        for hour in range(24):
            for line in "abcd":
                late = rnd.random() < (0.7 if bad[line] else 0.05)
                if day >= 42:
                    late = test(rnd)
                rows.append((len(rows), line, rnd.random(), (day * 24 + hour) * HOUR + 1, late))
    names = list(KINDS["trips"])
    types = [pa.int64(), pa.string(), pa.float64(), pa.timestamp("us"), pa.bool_()]
    columns = [pa.array(column, kind) for column, kind in zip(zip(*rows, strict=True), types, strict=True)]
    pq.write_table(pa.table(columns, names=names), folder / "trips.parquet")
    pq.write_table(pa.table({"line": list("abcd"), "age": [1, 2, 3, 4]}), folder / "lines.parquet")
    return {name: [folder / f"{name}.parquet"] for name in KINDS}


@pytest.fixture(scope="module")
def definitions():
    """Return the brief, resolved."""
    return resolve(parse_brief(BRIEF), KINDS)


def test_the_lateness_of_a_line_is_proposed_first_and_the_test_period_has_no_say(definitions, tmp_path) -> None:
    """Bad days are each line's own: its rate of the last hours tells them; what comes after changes no figure."""
    found = [
        suggest(definitions, _files(tmp_path, test=test), as_of_us=60 * 24 * HOUR)
        for test in (lambda rnd: rnd.random() < 0.5, lambda rnd: rnd.random() < 2)
    ]
    assert found[0] == found[1]
    assert found[0][0].name == "rate_6h_by_line"
    assert found[0][0].low > 0.05
    assert found[0][0].look_ups == 1
    assert found[0][0].steps > 100
    age = next(each for each in found[0] if each.name == "line_lines_age")
    assert abs(age.gain) < 0.05


def test_every_proposal_is_a_line_of_a_brief_that_resolves(definitions) -> None:
    """Pasted, they are read back as what was proposed, and every comment stays."""
    found = proposals(definitions)
    text = with_lines(BRIEF, [line_of(name, spec) for name, spec in found.items()])
    again = parse_brief(text)
    resolve(again, KINDS)
    assert set(tomllib.loads(text)["features"]) == {"line", "load", *found}
    assert "# what we have" in text
    assert "# and this" in text
    assert proposals(resolve(again, KINDS)) == {}


VISITS = BRIEF.replace('examples = "trips"\npredict_at = "at"\n', 'entities = "lines"\neach = "1 day"\n')
VISITS = VISITS.replace('label = "late"\nlabel_known_at = "at + interval 1 hour"', 'label = "LABEL"\nhorizon = "1 day"')
VISITS = VISITS.replace("top 5 per day", "top 1 per day").replace("[target]", "[target]\nstarting = 1970-01-05")
VISITS = VISITS.replace(
    'line = "line"\nload = "load"  # and this', 'week = { from = "trips", match = ["line"], window = "7 days" }'
)


def test_entities_are_proposed_what_each_source_tells_of_them(tmp_path) -> None:
    """What the label counts is counted backwards; of the source with one row each, its columns; nothing is there twice.

    How many trips there are in a week is among the features already, written without saying that it counts.
    """
    text = VISITS.replace("LABEL", "sum(trips.load) > 12")
    definitions = resolve(parse_brief(text), KINDS)
    found = proposals(definitions)
    assert {name for name in found if name.startswith("trips")} == {
        *("trips_seen_30d_by_line", "trips_seen_90d_by_line", "trips_last_by_line"),
        *("trips_sum_load_7d_by_line", "trips_sum_load_30d_by_line", "trips_sum_load_90d_by_line"),
    }
    assert found["line_lines_age"].from_ == "lines"
    resolve(parse_brief(with_lines(text, [line_of(name, spec) for name, spec in found.items()])), KINDS)
    files = _files(tmp_path, test=lambda rnd: rnd.random() < 0.5)
    said = suggest(definitions, files, as_of_us=60 * 24 * HOUR)
    assert {each.name for each in said} == set(found)
    (load,) = (each for each in said if each.name == "trips_sum_load_30d_by_line")
    assert (load.look_ups, load.steps > 100) == (1, True)


KINDS_OF_TARGET = {
    "mae": ("wait", 'act_on = "every prediction"', "mean_6h_by_line"),
    "log_loss": ("state", 'act_on = "the most likely class"', "last_6h_by_line"),
    "ndcg": ("wait", 'rank_within = ["day"]\nact_on = "top 3 per group"', "mean_6h_by_line"),
}


@pytest.mark.parametrize("metric", KINDS_OF_TARGET)
def test_of_every_kind_of_target_the_brief_s_own_metric_ranks(tmp_path, metric) -> None:
    """A line's wait is long on its bad days: what was seen of it lately tells most, whatever is measured."""
    label, acts, best = KINDS_OF_TARGET[metric]
    text = BRIEF.replace("late", label).replace('act_on = "top 5 per day"', acts)
    least, enough = (0.1, 0.9) if metric == "ndcg" else (0.9, 0.1)
    text = text.replace(
        "minimum = 0.1\ngood_enough = 0.9", f'metric = "{metric}"\nminimum = {least}\ngood_enough = {enough}'
    )
    definitions = resolve(parse_brief(text), {**KINDS, "trips": {**KINDS["trips"], "wait": "float", "state": "text"}})
    files = _files(tmp_path, test=lambda rnd: rnd.random() < 0.5)
    trips = pq.read_table(files["trips"][0])
    late, load = trips["late"].to_pylist(), trips["load"].to_pylist()
    waits = [30 * bad + 5 * more for bad, more in zip(late, load, strict=True)]
    trips = trips.append_column("wait", [waits]).append_column("state", [["bad" if bad else "good" for bad in late]])
    pq.write_table(trips, files["trips"][0])
    found = suggest(definitions, files, as_of_us=60 * 24 * HOUR)
    assert found[0].name == best
    assert found[0].metric == metric
    assert 0 < found[0].low <= found[0].gain


def test_a_side_that_says_too_little_is_named(definitions, tmp_path) -> None:
    """With how many examples it has; nothing is ranked by chance."""
    files = _files(tmp_path, test=lambda rnd: rnd.random() < 0.5)
    trips = pq.read_table(files["trips"][0])
    early = np.asarray(trips["at"].cast("int64")) < 30 * 24 * HOUR
    never = pa.array(np.asarray(trips["late"]) & early)
    pq.write_table(trips.set_column(4, "late", never), files["trips"][0])
    with pytest.raises(DataError, match=r"validate side has 0 of 1,\d+ examples for which the label holds"):
        suggest(definitions, files, as_of_us=60 * 24 * HOUR)


def test_a_source_with_a_time_and_one_row_an_entity_is_looked_up() -> None:
    """As of the moment of the prediction: its columns are taken, and its rows are not counted."""
    text = VISITS.replace("LABEL", "count(trips) > 3").replace(
        'key = ["line"]', 'key = ["line"]\ntime = "at"\nknown = "at"'
    )
    found = proposals(resolve(parse_brief(text), {**KINDS, "lines": {**KINDS["lines"], "at": "time"}}))
    assert {name for name in found if "lines" in name} == {"line_lines_age"}
    assert line_of("age", found["line_lines_age"]) == 'age = { from = "lines", match = ["line"], take = "age" }'


def test_a_brief_without_a_table_of_features_is_left_alone() -> None:
    """Nothing is written where it is not clear where it belongs."""
    with pytest.raises(BriefError, match="no line"):
        with_lines("features.a = 'a'", ["b = 'b'"])
