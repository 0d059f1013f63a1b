"""The grammar of expressions: what it takes, what it refuses and where."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.errors import BriefError, ExpressionError
from headway.nouns.expression import Call, Column, Literal, columns_of, parse, rename, render

names = st.one_of(
    st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True),
    st.sampled_from(["and", "in", "missing", "null", "true", "Order Date", 'a"b', "größe", "1st", "interval"]),
    st.text(min_size=1, max_size=6),
)
literals = st.one_of(
    st.integers(-(2**63) + 1, 2**63 - 1).map(lambda value: Literal(value, "int")),
    st.floats(allow_nan=False, allow_infinity=False).map(lambda value: Literal(value, "float")),
    st.text(max_size=8).map(lambda value: Literal(value, "text")),
    st.integers(0, 10**15).map(lambda value: Literal(value, "span")),
    st.booleans().map(lambda value: Literal(value, "bool")),
)
signs = ["or", "and", "=", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/", "%"]


def _calls(inner):
    two = st.tuples(inner, inner)
    return st.one_of(
        st.builds(Call, st.sampled_from(signs), two),
        st.builds(Call, st.sampled_from(["missing", "present", "not"]), st.tuples(inner)),
        st.builds(Call, st.just("in"), st.tuples(inner, literals, literals)),
        st.builds(Call, st.sampled_from(["hour", "coalesce", "f"]), st.lists(inner, max_size=3).map(tuple)),
        st.builds(Call, st.just("negate"), st.tuples(names.map(Column))),
    )


expressions = st.recursive(st.one_of(names.map(Column), literals), _calls, max_leaves=12)


@given(expressions)
def test_what_is_rendered_is_read_back_to_the_same_tree(expression) -> None:
    """Definitions are kept as text; the text must mean the same tomorrow."""
    assert parse(render(expression)) == expression


@given(st.text(max_size=40))
def test_no_text_ends_in_anything_but_a_tree_or_an_error_of_ours(text) -> None:
    """A slip of the pen is never a traceback."""
    with contextlib.suppress(BriefError):
        assert render(parse(text))


def test_operators_bind_as_in_sql() -> None:
    """Not before and before or; times before plus; comparison between."""
    assert render(parse("a + b * c > 1 and not d or e")) == "((((a + (b * c)) > 1) and (not d)) or e)"
    assert render(parse("-a - -b")) == "((-a) - (-b))"
    assert parse("x NOT IN ('a', 'b')") == Call("not", (parse("x in ('a', 'b')"),))
    assert parse("a == 1") == parse("a = 1")
    assert parse("a <> 1") == parse("a != 1")


def test_a_column_of_any_name_can_be_written_in_quotes() -> None:
    """Headers of real files have spaces and words of the grammar in them."""
    assert columns_of(parse('"Order Date" > "in" and "a""b" is missing')) == {"Order Date", "in", 'a"b'}


def test_columns_are_renamed_everywhere() -> None:
    """Literals of the same text stay."""
    renamed = rename(parse("a + f(a, b) > 1 and s = 'a'"), {"a": Column("z")})
    assert render(renamed) == "(((z + f(z, b)) > 1) and (s = 'a'))"


@pytest.mark.parametrize(
    ("text", "what", "where"),
    [
        ("arr_delay > ", "ends too early", "column 13"),
        ("", "ends too early", "column 1"),
        ("a < b < c", "'<', which cannot stand here", "column 7"),
        ("a ? b", "'?', which means nothing here", "column 3"),
        ("1 = 1; DROP TABLE x", "';', which means nothing here", "column 6"),
        ("f(a", "ends too early", "column 4"),
        ("'open", '"\'", which means nothing here', "column 1"),
        ("a in (b)", "'b', which cannot stand here", "column 7"),
        ("a in (-'x')", "Only constants", ""),
        ("99999999999999999999", "does not fit into 64 bits", ""),
        ("9" * 6000, "does not fit into 64 bits", ""),
        ("1e999", "too large a number", ""),
        ("not " * 500 + "a", "nested more than 150 deep", ""),
        (" and ".join(["a"] * 500), "nested more than 150 deep", ""),
        ("a - interval 2 fortnights", "'2 fortnights' is not a length of time", ""),
    ],
)
def test_a_slip_is_named_with_its_column(text, what, where) -> None:
    """What stands there, and where it stands."""
    with pytest.raises(BriefError) as caught:
        parse(text)
    assert what in caught.value.what
    assert caught.value.where == where
    assert len(caught.value.what) < 250


def test_expressions_may_be_long_if_they_are_not_deep() -> None:
    """A list of a thousand values is one level."""
    assert isinstance(parse(f"a in ({', '.join(map(str, range(1000)))})"), Call)
    assert isinstance(parse("(" * 140 + "a" + ")" * 140), Column)


def test_expression_errors_are_brief_errors() -> None:
    """Whoever catches faults of the brief catches these."""
    assert issubclass(ExpressionError, BriefError)
