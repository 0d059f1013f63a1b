"""A brief that does not fit its sources is refused at the key that does not, before a row is read."""

from __future__ import annotations

import json

import pytest

from headway.errors import BriefError, ExpressionError
from headway.nouns.brief_text import parse_brief
from headway.query.resolver import resolve

KINDS = {
    "orders": {
        "id": "int", "who": "text", "at": "time", "paid": "float", "returned": "bool", "back": "time", "note": "text",
        "Order Date": "time", 'a"b': "int", "hidden": "int",
    },
    "prices": {"what": "text", "at": "time", "price": "float", "n": "int"},
    "people": {"who": "text", "age": "int", "lat": "float", "lon": "float", "born": "time"},
}  # fmt: skip
TEXT = """
[sources.orders]
path = "orders.csv"
key = ["id"]
time = "at"
[sources.orders.derive]
year = "year(at, 'UTC')"
age = { from = "people", match = ["who"], take = "age" }
[sources.orders.known]
id = "at"
who = "at"
at = "at"
note = "at"
paid = "back"
returned = "back"
"Order Date" = "at"
'a"b' = "at"
[sources.prices]
path = "prices.csv"
key = ["what", "at"]
time = "at"
known = "at + interval 5 minutes"
[sources.people]
path = "people.csv"
key = ["who"]
[target]
examples = "orders"
predict_at = "at"
label = "returned"
label_known_at = "back"
act_on = "top 5 per day"
[features]
note = "note"
year = "year"
age = "age"
price = { from = "prices", match = { note = "what" }, take = "price", max_age = "2 days" }
paid_before = { from = "orders", match = ["who"], window = "30 days", value = "avg(paid)" }
[split]
train_before = 2013-07-01
validate_before = 2013-08-15
test_before = 2013-10-01
[success]
minimum = 0.25
good_enough = 0.5
segments = ["note"]
[baseline]
rule = "paid_before"
"""


def _resolve(text=TEXT, kinds=KINDS):
    return resolve(parse_brief(text), kinds)


def _with(*features: str, old: str = "", new: str = "") -> str:
    """Return the brief with more features, or with one thing replaced."""
    assert old in TEXT, old
    text = TEXT.replace(old, new) if old else TEXT
    return text.replace("[split]", "\n".join([*features, "[split]"]))


def _feature(definition: str) -> str:
    return _with(f"x = {definition}")


FEATURES = {
    "unknown column": ('"paied > 3"', "source 'orders' has no column 'paied'", "Did you mean 'paid'?"),
    "unknown function": ("\"yaer(at, 'UTC') + 1\"", "There is no function 'yaer'", "Did you mean 'year'?"),
    "kinds that do not fit": ('"note + 1"', "'+' takes (int, int) or (float, float) or", "Sum; a moment plus"),
    "too few arguments": ('"hour(at)"', "'hour' takes (time, text), and got (time)", "The hour of the clock"),
    "an aggregate of one row": ('"avg(id)"', "avg() looks at many rows, and here is only one", "window = '24 hours'"),
    "a moment": ('"at"', "This is a moment; a model takes numbers and categories", "hours_between"),
    "a length of time": ('"back - at"', "cannot be used here: nothing says when it is known", ""),
    "a column of no known time": (
        '"hidden + 1"',
        "'hidden' of source 'orders' cannot be used here: nothing says when",
        "",
    ),
    "looking up by a column of no known time": (
        '{ from = "people", match = { hidden = "age" }, take = "lat" }',
        "'hidden' of source 'orders' cannot be used here",
        "",
    ),
    "unknown column over there": (
        '{ from = "prices", match = { note = "what" }, take = "prise" }',
        "source 'prices' has no column 'prise'",
        "Did you mean 'price'?",
    ),
    "unknown column to match": (
        '{ from = "prices", match = ["what"], take = "price" }',
        "Source 'orders' has no column 'what'",
        "",
    ),
    "columns of other kinds": (
        '{ from = "prices", match = { note = "n" }, take = "price" }',
        "'note' of 'orders' is a text and 'n' of 'prices' a int",
        "",
    ),
    "nothing to match": ('{ from = "prices", take = "price" }', "A look-up needs columns to match", "match ="),
    "nothing to take": (
        '{ from = "prices", match = { note = "what" } }',
        "takes one column ('take') or an expression",
        "",
    ),
    "an age of the ageless": (
        '{ from = "people", match = ["who"], take = "age", max_age = "1 day" }',
        "has no time, so nothing in it has an age",
        "",
    ),
    "a window of the timeless": (
        '{ from = "people", match = ["who"], window = "1 day" }',
        "'people' has no time to make a window of",
        "",
    ),
    "a window of no aggregate": (
        '{ from = "orders", match = ["who"], window = "1 day", value = "paid" }',
        "'paid' is not an aggregate",
        "avg(…)",
    ),
    "a sum of texts": (
        '{ from = "orders", match = ["who"], window = "1 day", value = "sum(note)" }',
        "sum() of a text is not a number",
        "",
    ),
    "a sum of nothing": (
        '{ from = "orders", match = ["who"], window = "1 day", value = "sum()" }',
        "sum() needs something to add up",
        "",
    ),
    "a value nobody says when it is known": (
        '{ from = "orders", match = ["who"], window = "1 day", value = "avg(hidden)" }',
        "Nothing says when hidden of source 'orders' is known",
        "sources.orders.known",
    ),
    "half a distance": (
        '{ distance = ["who"], from = "people", lat = "lat", lon = "lon" }',
        "A distance needs two columns",
        "lat =",
    ),
    "a distance over many keys": (
        '{ distance = ["who", "note"], from = "prices", lat = "price", lon = "price" }',
        "needs a key of one column",
        "",
    ),
    "nothing at all": ('{ missing = "allow" }', "neither an expression nor where to look", "Write an expression"),
    "an unfinished expression": ('"id + "', "'id + ' ends too early", ""),
}


@pytest.mark.parametrize("fault", FEATURES)
def test_a_feature_that_cannot_be_is_refused_by_name(fault) -> None:
    """What is wrong with it, and that it is features.x."""
    definition, what, hint = FEATURES[fault]
    with pytest.raises(BriefError) as caught:
        _resolve(_feature(definition))
    assert what in caught.value.what
    assert hint in caught.value.hint
    assert caught.value.where.startswith("features.x")


OTHERS = [
    (
        'label = "returned"',
        'label = "at"',
        "label = 'at' is a time; a condition, a number or a category",
        "target.label",
    ),
    ('label = "returned"', 'label = "retruned"', "source 'orders' has no column 'retruned'", "target.label"),
    ('predict_at = "at"', 'predict_at = "id"', "'id' is a int, and a moment is wanted", "target.predict_at"),
    ('label_known_at = "back"', 'label_known_at = "bakc"', "has no column 'bakc'", "target.label_known_at"),
    ('key = ["id"]\n', 'key = ["ID"]\n', "Source 'orders' has no column 'ID'", "sources.orders.key"),
    ('key = ["id"]\n', "", "Source 'orders' has no key", "sources.orders.key"),
    ('time = "at"\n[', 'time = "who"\n[', "Column 'who' is a text, and a moment is wanted", "sources.orders.time"),
    ('paid = "back"', 'payed = "back"', "Source 'orders' has no column 'payed'", "sources.orders.known.payed"),
    ('paid = "back"', 'paid = "paid"', "'paid' is a float, and a moment is wanted", "sources.orders.known.paid"),
    ('segments = ["note"]', 'segments = ["nota"]', "has no column 'nota'", "success.segments"),
    ('rule = "paid_before"', 'rule = "paid_befor"', "the features has no column 'paid_befor'", "baseline.rule"),
    ('rule = "paid_before"', 'rule = "note"', "rule = 'note' is a text; a score is wanted", "baseline.rule"),
    (
        "year = \"year(at, 'UTC')\"",
        "Who = \"year(at, 'UTC')\"",
        "has a column 'who' already",
        "sources.orders.derive.Who",
    ),
    (
        'take = "age" }',
        'take = "age", max_age = "1 day" }',
        "A derived column is an expression",
        "sources.orders.derive.age",
    ),
    (
        'age = { from = "people", match = ["who"], take = "age" }',
        'age = { from = "people", match = ["who"], value = "year(predict_at, \'UTC\') - age" }',
        "source 'people' has no column 'predict_at'",
        "sources.orders.derive.age",
    ),
    (
        'age = { from = "people", match = ["who"], take = "age" }',
        'age = { from = "prices", match = { note = "what" }, take = "n" }',
        "may look into a source without time only",
        "sources.orders.derive.age",
    ),
    (
        'path = "people.csv"',
        'path = "people.csv"\nderive.old = { from = "orders", match = ["who"], take = "note" }',
        "in a circle: orders -> people -> orders",
        "sources.orders.derive",
    ),
    ('note = "note"\n', 'note = "note"\nNote = "note"\n', "differ in small and capital letters alone", "features.Note"),
    ('note = "note"\n', 'Predict_At = "note"\n', "it names the moment of the prediction", "features.Predict_At"),
]


@pytest.mark.parametrize(("old", "new", "what", "where"), OTHERS, ids=[new.strip() for _, new, *_ in OTHERS])
def test_what_does_not_fit_the_sources_is_refused_at_its_key(old, new, what, where) -> None:
    """Target, sources, segments and rule."""
    with pytest.raises(BriefError) as caught:
        _resolve(_with(old=old, new=new))
    assert what in caught.value.what
    assert caught.value.where == where


def test_columns_of_any_name_are_usable_in_quotes() -> None:
    """Headers with spaces and quotes are real; so are capital letters."""
    expression = """hour("Order Date", 'UTC') + "a""b" """
    definitions = _resolve(_with(f"x = {json.dumps(expression)}"))
    (feature,) = [feature for feature in definitions.features if feature.name == "x"]
    assert feature.row_columns == {"Order Date", 'a"b'}
    assert feature.compiled.row({"Order Date": 3_600_000_000, 'a"b': 4}) == 5


def test_lineage_leads_to_the_raw_columns() -> None:
    """Of the row, of what was looked up, and of the moments by which it was."""
    lineage = {feature.name: feature.lineage for feature in _resolve().features}
    assert lineage["year"] == (("orders", "at"),)
    assert lineage["age"] == (("orders", "who"),)
    assert lineage["price"] == (("orders", "note"), ("prices", "at"), ("prices", "price"), ("prices", "what"))
    assert lineage["paid_before"] == (("orders", "at"), ("orders", "back"), ("orders", "paid"), ("orders", "who"))


def test_the_lineage_of_a_look_up_leaves_out_what_others_take_along_with_it() -> None:
    """Look-ups by one key share a timeline; each follows from its own value, match and moments alone."""
    text = _with(
        'number = { from = "prices", match = { note = "what" }, take = "n", max_age = "2 days" }',
        'double = { from = "prices", match = { note = "what" }, value = "2 * n + price", max_age = "2 days" }',
        'seen = { from = "orders", match = ["who"], window = "30 days", value = "count(note)" }',
        'bought = { from = "orders", match = ["who"], window = "30 days", value = "count()" }',
        'tall = { from = "people", match = ["who"], take = "lat" }',
        'far = { from = "people", match = ["who"], value = "lon" }',
    )
    features = {feature.name: feature for feature in _resolve(text).features}
    assert features["number"].timelines == features["price"].timelines == features["double"].timelines
    assert features["tall"].timelines == features["far"].timelines
    found = {name: {f"{source}.{column}" for source, column in feature.lineage} for name, feature in features.items()}
    shared = {"orders.note", "prices.what", "prices.at"}
    assert found["price"] == {*shared, "prices.price"}
    assert found["number"] == {*shared, "prices.n"}
    assert found["double"] == {*shared, "prices.n", "prices.price"}
    assert found["seen"] == {"orders.who", "orders.at", "orders.note"}
    assert found["bought"] == {"orders.who", "orders.at"}
    assert found["tall"] == {"orders.who", "people.who", "people.lat"}
    assert found["far"] == {"orders.who", "people.who", "people.lon"}


def test_a_request_holds_what_is_known_and_needed_and_no_more() -> None:
    """No label, no late column, nothing that is looked up."""
    fields = {field.name: field.required for field in _resolve().request_fields}
    assert fields == {"id": True, "who": True, "at": True, "note": True}


def test_two_look_ups_by_different_columns_of_theirs_stay_two() -> None:
    """The same own column matched with two of theirs asks two questions."""
    kinds = {**KINDS, "people": {**KINDS["people"], "alias": "text"}}
    text = _with(
        'x = { from = "people", match = { note = "who" }, take = "lat" }',
        'y = { from = "people", match = { note = "alias" }, take = "lat" }',
    )
    definitions = _resolve(text, kinds)
    static = [timeline for timeline in definitions.timelines if timeline.shape == "static"]
    assert [timeline.theirs for timeline in static] == [("who",), ("alias",)]


def test_a_column_that_bears_a_name_of_the_engine_is_refused_only_where_it_is_used() -> None:
    """A wide export may have anything in it; @event in a look-up would be taken for the step's own."""
    kinds = {**KINDS, "prices": {**KINDS["prices"], "@Event": "float", "@timestamp": "time"}}
    assert _resolve(TEXT, kinds)
    with pytest.raises(BriefError, match="'@Event', and that name is taken"):
        _resolve(_feature('{ from = "prices", match = { note = "what" }, take = "@Event" }'), kinds)


@pytest.mark.parametrize("name", ["@part", "@Number"])
def test_a_column_that_bears_the_name_of_a_part_or_a_number_is_refused_where_it_would_be_taken_for_it(name) -> None:
    """What is looked into by parts is told apart by them, and an example by its number."""
    kinds = {**KINDS, "orders": {**KINDS["orders"], name: "text"}, "prices": {**KINDS["prices"], name: "text"}}
    assert _resolve(TEXT, kinds)
    with pytest.raises(BriefError, match=f"'orders' has a column '{name}', and that name is taken"):
        _resolve(_with(old='key = ["id"]', new=f'key = ["id", "{name}"]'), kinds)
    taken = _feature(f'{{ from = "prices", match = {{ note = "what" }}, take = "{name}" }}')
    if name == "@Number":
        assert _resolve(taken, kinds)
    else:
        with pytest.raises(BriefError, match="'prices' has a column '@part', and that name is taken"):
            _resolve(taken, kinds)


def test_a_column_that_is_called_as_the_engine_numbers_rows_must_number_them() -> None:
    """As the key it does; as one column of it alone, what was found would go to several examples."""
    kinds = {**KINDS, "orders": {**KINDS["orders"], "RowId": "int"}}
    assert _resolve(_with(old='key = ["id"]', new='key = ["RowId"]'), kinds)
    with pytest.raises(BriefError, match="'RowId', and that name is taken"):
        _resolve(_with(old='key = ["id"]', new='key = ["id", "RowId"]'), kinds)


def test_a_table_of_examples_may_bring_its_own_predict_at() -> None:
    """If that is the moment of the prediction; anything else of that name would be confused with it."""
    kinds = {**KINDS, "orders": {**KINDS["orders"], "predict_at": "time"}}
    own = _with(old='predict_at = "at"', new='predict_at = "predict_at"').replace(
        'key = ["id"]', 'key = ["id", "predict_at"]'
    )
    assert _resolve(own, kinds)
    with pytest.raises(BriefError, match="it names the moment of the prediction"):
        _resolve(_with(old='key = ["id"]', new='key = ["id", "predict_at"]'), kinds)


def test_expression_errors_say_at_which_column_of_which_key() -> None:
    """The key first, the column of its text after it."""
    with pytest.raises(ExpressionError) as caught:
        _resolve(_feature('"id + ?"'))
    assert caught.value.where == "features.x, column 6"


@pytest.mark.parametrize(
    ("definition", "said"),
    [
        ('from = "prices", match = { note = "what" }, take = "price"', "price of prices by note = what"),
        ('from = "people", match = { who = "who" }, take = "age"', "age of people by who"),
        (
            'from = "orders", match = { who = "note", id = "id" }, window = "1 day"',
            "count() of orders by who = note, id over 1 day",
        ),
        (
            'nearest = ["paid", "paid"], from = "people", lat = "lat", lon = "lon", match = { note = "who" }',
            "distance to the nearest of people of equal note = who",
        ),
    ],
)
def test_what_is_matched_over_there_is_said_where_its_name_differs(definition, said) -> None:
    """Of a look-up, a window and the nearest place; a name that is the same is said once."""
    known = _with(f"x = {{ {definition} }}", old='paid = "back"', new='paid = "at"')
    found = next(feature for feature in _resolve(known).features if feature.name == "x")
    assert found.text == said
