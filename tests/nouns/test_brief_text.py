"""A brief that cannot stand is refused with the line, the key, what was wanted there, and the word that was meant."""

from __future__ import annotations

import pytest

from headway.errors import BriefError, DataError
from headway.nouns.brief_text import line_of, parse_brief, place

TEXT = """\
[sources.flights]
path    = "flights.csv"
key     = ["carrier", "flight"]
licence = "CC0"
[sources.weather]
path = "weather.csv"
[target]
examples       = "flights"
predict_at     = "sched_dep - interval 2 hours"
label          = "arr_delay > 30"
label_known_at = "actual_arr"
act_on         = "top 40 per day"
[features]
carrier = "carrier"
temp    = { from = "weather", match = ["origin"], take = "temp", max_age = "6 hours" }
[split]
train_before    = 2013-07-01
validate_before = 2013-08-15
test_before     = 2013-10-01
zone            = "America/New_York"
[search]
trials = 8
[success]
metric      = "average_precision"
minimum     = 0.25
good_enough = 0.50  # the search stops here
[serve]
refresh = "10 minutes"
[monitor]
false_alarm = "once a year"
[retrain]
when = ["harm", "every 30 days"]
"""


def _line(text: str, part: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), start=1) if part in line)


def _refused(old: str, new: str) -> tuple[BriefError, str]:
    """Return the error about the brief with one line changed, and that text."""
    assert TEXT.count(old) >= 1, old
    text = TEXT.replace(old, new, 1)
    with pytest.raises(BriefError) as caught:
        parse_brief(text)
    return caught.value, text


# what is changed: into what, what is said, what helps, the key, and a part of the line that is named
WRONG = [
    ("[success]", "[sucess]", "the brief has no field 'sucess'", "Did you mean 'success'?", "sucess"),
    ("trials = 8", "trails = 8", "search has no field 'trails'", "Did you mean 'trials'?", "search.trails"),
    (
        "licence =",
        "license =",
        "sources.flights has no field 'license'",
        "Did you mean 'licence'?",
        "sources.flights.license",
    ),
    ("max_age =", "maxage =", "features.temp has no field 'maxage'", "Did you mean 'max_age'?", "features.temp.maxage"),
    ("trials = 8", 'trials = "8"', "Expected `int`, got `str`", "How many settings", "search.trials"),
    ('refresh = "10 minutes"', "refresh = 10", "Expected `str`, got `int`", "How far", "serve.refresh"),
    ("trials = 8", "trials = 0", "Expected `int` >= 1", "How many settings", "search.trials"),
    (
        '"average_precision"',
        '"precision"',
        "'precision' is none of 'average_precision', 'roc_auc', 'log_loss', 'brier', 'mae'",
        "What quality",
        "success.metric",
    ),
    (
        '"average_precision"',
        '"avg_precision"',
        "'avg_precision' is none of 'average_precision', 'roc_auc', 'log_loss', 'brier', 'mae'",
        "Did you mean 'average_precision'? What quality",
        "success.metric",
    ),
    (
        "trials = 8",
        'algorithms = ["tree", "lightgm"]',
        "'lightgm' is none of 'logistic', 'linear', 'tree', 'lightgbm'.",
        "Did you mean 'lightgbm'? Which kinds",
        "search.algorithms.1",
    ),
    (
        'licence = "CC0"',
        'types = { carrier = "txt" }',
        "'txt' is none of 'bool', 'int', 'float', 'text', 'time'.",
        "Did you mean 'text'? Types of columns",
        "sources.flights.types.carrier",
    ),
    (
        'licence = "CC0"',
        'format = "avro"',
        "'avro' is none of 'csv', 'jsonl', 'parquet', 'arrow', 'excel', 'sqlite', 'duckdb'.",
        "Only where the name",
        "sources.flights.format",
    ),
    (
        'max_age = "6 hours"',
        'missing = "alow"',
        "'alow' is none of 'allow', 'refuse'.",
        "Did you mean 'allow'? Whether a request",
        "features.temp.missing",
    ),
    ('"arr_delay > 30"', '""', "Nothing is said here", "What is predicted", "target.label"),
    ("2013-07-01", '"July 1"', "Invalid RFC3339", "Train on", "split.train_before"),
    ("2013-08-15", "2013-06-15", "2013-06-15 is not after train_before", "at least a day", "split.validate_before"),
    ("= 0.25", "= 0.75", "minimum = 0.75 is above good_enough = 0.5", "Put minimum at or below", "success.minimum"),
    ('from = "weather"', 'from = "wether"', "There is no source 'wether'", "Did you mean 'weather'?", "features.temp"),
    ('= "flights"', '= "flight"', "There is no source 'flight'", "Did you mean 'flights'?", "target.examples"),
    ('"6 hours"', '"6 horus"', "'6 horus' is not a length of time", "Did you mean 'hour'?", "features.temp.max_age"),
    ('"America/New_York"', '"New York"', "'New York' is not a time zone", "America/New_York", "split.zone"),
    ('"top 40 per day"', '"the best"', "does not say which predictions", "top 40 per day", "target.act_on"),
    ('= "CC0"', "= 7", "Expected `str`, got `int`", "Under what terms", "sources.flights.licence"),
    ('max_age = "6 hours"', "max_age = 6", "Expected `str`, got `int`", "Older than this", "features.temp.max_age"),
    ('carrier = "carrier"', "carrier = 7", "Expected `str | object`, got `int`", "", "features.carrier"),
    ('"once a year"', '"rarely"', "'rarely' is not a rate", "once a month", "monitor.false_alarm"),
    ('"every 30 days"', '"every full moon"', "'full moon' is not a length of time", "Write a number", "retrain.when"),
    ('"every 30 days"', '"boredom"', "'boredom' is not a reason to retrain", "Write 'harm'", "retrain.when"),
    (
        'carrier = "carrier"',
        '"car rier" = "carrier"',
        "'car rier' is not a name",
        "letters, digits",
        "features.car rier",
    ),
]


def test_the_brief_that_is_changed_below_can_stand() -> None:
    """Else each of the changes would prove nothing."""
    assert parse_brief(TEXT).success.good_enough == 0.5


@pytest.mark.parametrize(("old", "new", "what", "hint", "key"), WRONG, ids=[fault[1] for fault in WRONG])
def test_a_fault_is_named_with_its_line_and_key(old, new, what, hint, key) -> None:
    """File and line, the path of the key, what was found, and what to write instead."""
    error, text = _refused(old, new)
    assert what in error.what
    assert hint in error.hint
    assert error.where == f"headway.toml:{_line(text, new)}, {key}"


@pytest.mark.parametrize(
    ("gone", "what", "where"),
    [
        ('label          = "arr_delay > 30"\n', "target needs 'label'", ":7, target"),
        ('path = "weather.csv"\n', "sources.weather needs 'path'", ":5, sources.weather"),
        ("test_before     = 2013-10-01\n", "split needs 'test_before'", ":16, split"),
    ],
)
def test_what_is_missing_is_named_with_its_table(gone, what, where) -> None:
    """The line of the table in which it should stand, and what it is for."""
    error, _ = _refused(gone, "")
    assert error.what == f"{what}."
    assert error.where == f"headway.toml{where}"
    assert error.hint


@pytest.mark.parametrize("metric", ["log_loss", "brier"])
def test_minimum_and_good_enough_turn_round_where_less_is_better(metric) -> None:
    """A log loss of 0.3 is better than one of 0.5."""
    text = TEXT.replace("average_precision", metric)
    with pytest.raises(BriefError, match=r"minimum = 0\.25 is below good_enough = 0\.5"):
        parse_brief(text)
    assert parse_brief(text.replace("= 0.50", "= 0.10")).success.good_enough == 0.1


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("[decision\n", "headway.toml:1"),
        ("[target]\nlabel = \n", "headway.toml:2"),
        ("[target]\nlabel = 'a'\nlabel = 'b'\n", "headway.toml:3"),
        ("a = 2013-13-45\n", "headway.toml:1"),
        ("a = 'open\n", "headway.toml:1"),
    ],
)
def test_what_is_not_toml_is_named_with_its_line(text, where) -> None:
    """The parser's own words, placed."""
    with pytest.raises(BriefError, match="This is not TOML") as caught:
        parse_brief(text)
    assert caught.value.where.startswith(where)


def test_an_empty_brief_says_what_is_needed() -> None:
    """An empty file is TOML, and no brief."""
    with pytest.raises(BriefError, match="the brief needs 'sources'"):
        parse_brief("")


def test_a_key_is_found_wherever_toml_allows_it_to_stand() -> None:
    """Under a header, dotted, inline, quoted; a key without a line of its own stands where its parent does."""
    lines = ["[sources.a]", 'path = "x"', "[sources.a.known]", '"*" = "t"', "[features]"]
    text = "\n".join([*lines, 'f = { from = "a", take = "b" }', 'b.value = "1"'])
    assert line_of(text, ("sources", "a", "path")) == 2
    assert line_of(text, ("sources", "a", "known", "*")) == 4
    assert line_of(text, ("features", "f", "take")) == 6
    assert line_of(text, ("features", "b", "value")) == 7
    assert line_of(text, ("sources", "a", "key")) == 1
    assert line_of(text, ("nowhere",)) is None


def test_an_error_of_later_stages_is_placed_in_the_text() -> None:
    """The engine says features.carrier; whoever has the text says which line that is."""
    error = DataError("'x' is not known at predict_at.", where="features.carrier")
    place(error, TEXT, "headway.toml")
    assert error.where == f"headway.toml:{_line(TEXT, 'carrier = ')}, features.carrier"
    elsewhere = DataError("A file is broken.", where="data/a.csv:3")
    place(elsewhere, TEXT, "headway.toml")
    assert elsewhere.where == "data/a.csv:3"


def test_comments_and_layout_are_no_part_of_a_briefs_version() -> None:
    """The digest is of what the brief means."""
    bare = TEXT.replace("  # the search stops here", "").replace(" = ", "=")
    assert parse_brief(bare).digest == parse_brief(TEXT).digest
    assert parse_brief(TEXT.replace("trials = 8", "trials = 9")).digest != parse_brief(TEXT).digest


@pytest.mark.parametrize("engine", ["local", "ray", "ray://10.0.0.5:6379"])
def test_an_engine_is_no_part_of_what_a_brief_means(engine) -> None:
    """The same dataset comes out, so the digest is the same, and a release does not hold it."""
    plain, placed = parse_brief(TEXT), parse_brief(f'engine = "{engine}"\n{TEXT}')
    assert placed.engine == engine
    assert placed.digest == plain.digest
    assert placed.placeless == plain


@pytest.mark.parametrize(
    ("engine", "hint"), [("rya", "Did you mean 'ray'?"), ("spark", "'ray://host:port'"), ("ray://host", "")]
)
def test_an_engine_that_there_is_not_is_refused(engine, hint) -> None:
    """With its line, and what may stand there."""
    with pytest.raises(BriefError, match=f"There is no engine '{engine}'") as caught:
        parse_brief(f'engine = "{engine}"\n{TEXT}')
    assert caught.value.where == "headway.toml:1, engine"
    assert hint in caught.value.hint
