"""How a file spells what it says: names, numbers and days as offices write them, and what is left alone."""

from __future__ import annotations

from datetime import datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.define.looks import can_be_written
from headway.define.spelling import cleaned_sql, said_by_text, written_names
from headway.nouns.cleaning import Clean
from headway.query.cleaning import cleaned
from headway.query.compile import Scope, compile_expression
from headway.query.database import Database


def _said(values, *, read=False):
    with Database() as database:
        table = database.register(pa.table({"x": pa.array(values, pa.string())}))
        clean = said_by_text("x", table, database)
        if not read:
            return clean
        return [row[0] for row in database.rows(f"SELECT {cleaned_sql('x', clean)} FROM {table}")]


@given(st.lists(st.text(max_size=8), unique_by=str.casefold, max_size=12))
def test_every_name_can_be_written_and_none_comes_twice(names):
    """Whatever columns are called, what the brief calls them is a plain word of its own."""
    found = written_names(names)
    called = [found.get(name, name) for name in names]
    assert all(map(can_be_written, called))
    assert len({name.lower() for name in called}) == len(names)
    assert set(found) == {name for name in names if not can_be_written(name)}


@pytest.mark.parametrize(
    ("values", "clean"),
    [
        (["1.315,32", "50,28", None, "7"], {"parse": "number", "decimal": ","}),
        (["1,315.32", "50.28", "-7"], {"parse": "number", "decimal": "."}),
        (
            ["28.08.2025 06:30", "2025-08-28 01:15", "01.09.2025 10:00"],
            {"parse": "moment", "format": ("%d.%m.%Y %H:%M", "%Y-%m-%d %H:%M")},
        ),
        (["25.10.2025", "01.02.2025", "03.02.2025"], {"parse": "moment", "format": "%d.%m.%Y"}),
        (["13/02/2025", "01/02/2025", "05/02/2025"], {"parse": "moment", "format": "%d/%m/%Y"}),
        (["02/13/2025", "01/02/2025", "05/02/2025"], {"parse": "moment", "format": "%m/%d/%Y"}),
        (["25.10.99", "01.02.25", "03.02.25"], {"parse": "moment", "format": "%d.%m.%y"}),
        (["99-10-25", "25-02-01", "25-12-31"], {"parse": "moment", "format": "%y-%m-%d"}),
        (["12/31/69 10:00", "01/02/25 09:30", "05/02/25 11:00"], {"parse": "moment", "format": "%m/%d/%y %H:%M"}),
        (["25/10/24", "01/02/25", "03/02/25"], {}),
        (["01/02/2025", "03/04/2025", "05/06/2025"], {}),
        (["1.315,32", "50,28", "n/a"], {}),
        (["25.10.2025", "31.02.2025", "03.02.2025"], {}),
        (["1.2.3", "4.5.6", "7.8.9"], {}),
        (["A1", "B2", "C3"], {}),
    ],
)  # fmt: skip
def test_texts_that_all_say_a_number_or_a_moment_are_told_from_others(values, clean):
    """One value that does not fit, and days that could be two days, leave the column a text."""
    assert _said(values) == clean


@pytest.mark.parametrize(
    "values",
    [["1.315,32", "50,28", None, "7"], ["28.08.2025 06:30", "2025-08-28 01:15", "01.09.2025 10:00"]],
)
def test_what_a_look_reads_is_what_the_brief_will_clean(values):
    """The look's own reading and the declared cleaning agree, value by value, in the engine and row by row."""
    spec = Clean(of="x", **_said(values))
    scope = Scope.of("the row", {"x": "text"})
    compiled = compile_expression(cleaned("y", spec, scope, "here")["y"], scope)
    read = _said(values, read=True)
    with Database() as database:
        table = database.register(pa.table({"x": pa.array(values, pa.string())}))
        assert [row[0] for row in database.rows(f"SELECT {compiled.sql} FROM {table}")] == read
    epoch = datetime(1970, 1, 1)  # noqa: DTZ001  (as the engine gives moments: UTC, without saying so)
    as_rows = [(one - epoch) // timedelta(microseconds=1) if isinstance(one, datetime) else one for one in read]
    assert [compiled.row({"x": value}) for value in values] == as_rows
    assert None not in [one for one, value in zip(read, values, strict=True) if value is not None]
