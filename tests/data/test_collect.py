"""Files to snapshots: what is read is exactly what stands there, and what cannot be is named."""

from __future__ import annotations

import gzip
import json
import random
import resource
import sqlite3
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.blobs import FolderBlobs
from headway.data.collect import collect
from headway.errors import SourceError, StoreFull
from headway.nouns.brief import Source
from headway.sources import delimited


class Project:
    """A folder with a source called ``s``, and the blobs that it is collected into."""

    def __init__(self, folder) -> None:
        self.folder = folder
        self.blobs = FolderBlobs(folder / "blobs")

    def put(self, name: str, data: str | bytes):
        """Write a file."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return path

    def collect(self, path: str = "*.csv", *, previous=None, read=None, **source):
        """Collect what ``path`` names; ``read`` is told the files that are read."""
        return collect(
            "s",
            Source(path=path, **source),
            folder=self.folder,
            store=self.blobs,
            previous=previous,
            progress=(read if read is not None else []).append,
            threads=1,
        )

    def rows(self, snapshot):
        """Return all rows, in order."""
        tables = [pq.read_table(self.blobs.path(segment.blob)) for segment in snapshot.segments]
        return [tuple(row.values()) for row in pa.concat_tables(tables).to_pylist()]

    def kinds(self, snapshot):
        """Return the kind of each column."""
        return {column.name: column.kind for column in snapshot.columns}


@pytest.fixture
def project(tmp_path):
    """Return a project in a folder of its own."""
    return Project(tmp_path)


def _us(value) -> str:
    return value.isoformat()


# -- what stands there


@pytest.mark.parametrize(
    "text",
    [
        b"a,b\n1,x\n2,y\n",
        b"\xef\xbb\xbfa,b\r\n1,x\r\n2,y\r\n",
        b"a;b\n1;x\n2;y",
        b"a\tb\n1\tx\n2\ty\n",
        b'"a"|"b"\n1|"x"\n2|y\n\n',
    ],
)
def test_a_csv_is_read_whatever_ends_its_lines_and_parts_its_fields(project, text) -> None:
    """BOM, CRLF, semicolons, tabs and bars, with and without a last newline."""
    project.put("a.csv", text)
    snapshot = project.collect()
    assert project.rows(snapshot) == [(1, "x"), (2, "y")]
    assert project.kinds(snapshot) == {"a": "int", "b": "text"}


def test_names_and_texts_may_hold_anything_that_is_quoted(project) -> None:
    """Quotes, commas, newlines, spaces and letters of all alphabets."""
    project.put("a.csv", '"say ""hi""",Größe (cm),predict_at\n"x\ny","1,5",label\n')
    snapshot = project.collect()
    assert project.rows(snapshot) == [("x\ny", "1,5", "label")]
    assert list(project.kinds(snapshot)) == ['say "hi"', "Größe (cm)", "predict_at"]


def test_an_empty_field_is_missing_unless_the_brief_says_otherwise(project) -> None:
    """Both an empty field and NA are missing; with nulls = ['-'] an empty text is a text."""
    project.put("a.csv", 'a,b\n1,""\n,NA\n3,-\n')
    assert project.rows(project.collect()) == [(1, None), (None, None), (3, "-")]
    assert project.rows(project.collect(nulls=("-",))) == [("1", ""), ("", "NA"), ("3", None)]


def test_a_blank_line_is_a_missing_value_where_there_is_one_column_and_else_nothing(project) -> None:
    """In a file of one column the two are written alike, wherever they stand."""
    project.put("a.csv", "a\nx\n\ny\n\n\n")
    assert project.rows(project.collect()) == [("x",), (None,), ("y",), (None,), (None,)]
    project.put("a.csv", "a,b\nx,1\n\ny,2\n\n\n")
    assert project.rows(project.collect()) == [("x", 1), ("y", 2)]


def test_naive_times_are_read_in_the_zone_of_the_source_and_others_in_their_own(project) -> None:
    """A day is its local midnight; an offset or a Z is heeded wherever it stands."""
    project.put("a.csv", "n,d,z\n2013-07-01 12:00:00,2013-07-01,2013-07-01T12:00:00Z\n")
    snapshot = project.collect(zone="America/New_York")
    assert [_us(value) for value in project.rows(snapshot)[0]] == [
        "2013-07-01T16:00:00",
        "2013-07-01T04:00:00",
        "2013-07-01T12:00:00",
    ]


@pytest.mark.parametrize("large", [1 << 30, 0])
def test_of_moments_some_of_which_carry_an_offset_the_others_are_read_in_the_zone_of_the_source(
    project, monkeypatch, large
) -> None:
    """However the offset is written; a moment that never comes is missing, and in UTC nothing is asked of a text."""
    monkeypatch.setattr(delimited, "_LARGE_BYTES", large)
    project.put(
        "a.csv",
        "at\n2024-03-10T12:30:00Z\n2024-07-01T12:00:00\n2024-07-01 12:00:00+02\n2024-07-01 12:00:00 UTC\n"
        "2024-07-01 12:00:00 Europe/Berlin\n2024-07-01\ninfinity\nNA\n",
    )
    for zone, hours in (("America/New_York", (12, 16, 10, 12, 10, 4)), ("UTC", (12, 12, 10, 12, 10, 0))):
        rows = [at for (at,) in project.rows(project.collect(zone=zone))]
        assert [at and at.hour for at in rows] == [*hours, None, None]


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
def test_a_word_far_down_among_moments_with_an_offset_makes_a_text_of_them(project, monkeypatch, zone) -> None:
    """Whether a file is large, and whichever zone the others are read in."""
    project.put("a.csv", "at\n" + "2024-03-10T12:30:00Z\n" * 5_000 + "later\n")
    monkeypatch.setattr(delimited, "_SAMPLE_ROWS", 2_048)
    for large in (1 << 30, 0):
        monkeypatch.setattr(delimited, "_LARGE_BYTES", large)
        assert project.rows(project.collect(zone=zone))[-1] == ("later",)


@pytest.mark.parametrize("day", ["13/03/2024", "2024-03-13", "2024-03-13 00:00:00", "03/13/2024 12:00:00 AM"])
@pytest.mark.parametrize("large", [1 << 30, 0])
def test_a_day_that_never_comes_is_missing_and_the_first_of_1900_is_a_day(project, monkeypatch, day, large) -> None:
    """In whatever form days are written, and however far down the word stands."""
    monkeypatch.setattr(delimited, "_LARGE_BYTES", large)
    monkeypatch.setattr(delimited, "_SAMPLE_ROWS", 2_048)
    first = day.replace("2024", "1900").replace("13", "01").replace("03", "01")
    words = ["infinity", "-Infinity", "epoch", first, ""]
    project.put("a.csv", "d,n\n" + f"{day},1\n" * 5_000 + "".join(f"{word},2\n" for word in words))
    rows = [row[0] and _us(row[0])[:10] for row in project.rows(project.collect())]
    assert rows == ["2024-03-13"] * 5_000 + [None, None, "1970-01-01", "1900-01-01", None]


def test_a_text_declared_to_be_a_moment_is_one_in_every_format(project) -> None:
    """SQLite has no type for moments; the brief says that it is one."""
    with sqlite3.connect(project.folder / "a.db") as database:
        database.execute("CREATE TABLE t (at TEXT)")
        database.executemany(
            "INSERT INTO t VALUES (?)", [("2013-07-01 12:00:00",), ("2013-07-01T12:00:00+02:00",), (None,)]
        )
    database.close()
    rows = project.rows(project.collect("a.db", types={"at": "time"}, zone="America/New_York"))
    assert [row[0] and _us(row[0]) for row in rows] == ["2013-07-01T16:00:00", "2013-07-01T10:00:00", None]


def test_numbers_that_are_names_keep_their_noughts(project) -> None:
    """A text is taken as it stands."""
    project.put("a.csv", "zip,n\n00420,1\n99999,2\n")
    assert project.rows(project.collect(types={"zip": "text"})) == [("00420", 1), ("99999", 2)]


def test_large_numbers_are_taken_when_the_brief_says_that_they_are_amounts(project) -> None:
    """And as texts they keep each digit."""
    project.put("a.csv", "n\n12345678901234567890\n")
    assert project.rows(project.collect(types={"n": "float"})) == [(12345678901234567890.0,)]
    assert project.rows(project.collect(types={"n": "text"})) == [("12345678901234567890",)]


def test_what_is_no_number_among_floats_is_missing(project) -> None:
    """NaN and infinity are written by tools that mean: nothing here."""
    project.put("a.csv", "x\n1.5\nNaN\ninf\n-2\n")
    assert project.rows(project.collect()) == [(1.5,), (None,), (None,), (-2.0,)]


def test_conditions_days_and_times_of_day_have_their_kinds(project) -> None:
    """True and false are conditions; a time of day alone is a text."""
    project.put("a.csv", "b,t,d,m\ntrue,12:30:00,31/12/2013,2013-12-31 10:00:00\nfalse,01:00:00,01/12/2013,\n")
    snapshot = project.collect()
    assert project.kinds(snapshot) == {"b": "bool", "t": "text", "d": "time", "m": "time"}
    assert project.rows(snapshot)[0][2].isoformat() == "2013-12-31T00:00:00"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (("99/12/31", "24/01/02"), ("1999-12-31", "2024-01-02")),
        (("31/12/99", "01/02/24"), ("1999-12-31", "2024-02-01")),
        (("12/31/24", "01/02/24"), ("2024-12-31", "2024-01-02")),
        (("12/31/24 10:00:00 AM", "01/02/24 10:00:00 AM"), ("2024-12-31", "2024-01-02")),
        (("2024/12/11", "2024/01/02"), ("2024-12-11", "2024-01-02")),
    ],
)
def test_days_are_read_in_the_only_order_that_all_of_them_allow(project, written, meant) -> None:
    """A year of two digits may stand first or last; one day that fits a single order tells it of all."""
    project.put("a.csv", "d\n" + "".join(f"{day}\n" for day in written))
    assert tuple(str(row[0].date()) for row in project.rows(project.collect())) == meant


@pytest.mark.parametrize("large", [1 << 30, 0])
@pytest.mark.parametrize("value", ["03/04/2025", "25/12/24", "03/04/2025 10:00:00", "24-12-25T10:00:00Z"])
def test_days_that_could_be_others_are_taken_as_they_stand_where_the_brief_says_text(
    project, monkeypatch, value, large
) -> None:
    """By the name that the brief gives the column; another column of such days is refused still."""
    monkeypatch.setattr(delimited, "_LARGE_BYTES", large)
    project.put("a.csv", f"Day of sale,n\n{value},1\n")
    snapshot = project.collect(rename={"Day of sale": "day"}, types={"day": "text"})
    assert project.rows(snapshot) == [(value, 1)]
    project.put("a.csv", f"day,other\n{value},{value}\n")
    with pytest.raises(SourceError, match="'other'") as caught:
        project.collect(types={"day": "text"})
    assert "say under types that the column is a text" in caught.value.hint


@pytest.mark.parametrize(
    "values",
    [
        *(
            ("1", late)
            for late in ("2", "3.7", "3.0", "1e3", " 7 ", "007", "1_000", "0x1F", "-0", "abc", "9" * 20, "NA")
        ),
        *(("1.5", late) for late in ("2", "-0.25", "007.5", "1_000", " 2.5 ", "1e3", "nan", "1.", ".5", "abc")),
        *(("true", late) for late in ("FALSE", "0", "1", "yes", "t", "abc")),
        *(("2013-01-01", late) for late in ("2013-01-01 10:00:00", "2013-1-2", "infinity", "x", "20130101")),
        *(("2013-01-01 10:00:00", late) for late in ("2013-01-02", "2013-01-01 10:00:00.25", "epoch", "10:00")),
        *(("10:00:00", late) for late in ("25:00:00", "2013-01-01")),
        *(("13/02/2013", late) for late in ("01/12/2013", "12/31/2013")),
        *(("", late) for late in ("7", "x")),
    ],
    ids=" then ".join,
)
def test_a_large_file_is_read_as_if_all_of_it_had_been_looked_at(project, monkeypatch, values) -> None:
    """Whatever stands far down, where the beginning says something else: no value is bent, and no kind is another."""
    first, late = values
    project.put("a.csv", "v,n\n" + f"{first},1\n" * 5_000 + f"{late},2\n")
    found = []
    for large in (1 << 30, 0):
        monkeypatch.setattr(delimited, "_LARGE_BYTES", large)
        monkeypatch.setattr(delimited, "_SAMPLE_ROWS", 2_048)
        try:
            snapshot = project.collect()
            found.append((project.kinds(snapshot), project.rows(snapshot)[-1], snapshot.digest))
        except SourceError as error:
            found.append(str(error))
    assert found[0] == found[1]


def test_of_a_large_file_that_goes_on_as_it_begins_only_the_beginning_is_looked_at(project, monkeypatch) -> None:
    """To look at all of it would take as long as to read it."""
    monkeypatch.setattr(delimited, "_LARGE_BYTES", 0)
    monkeypatch.setattr(delimited._Text, "looked_through", None)
    project.put("a.csv", "i,f,b,t,d,m\n" + "1,0.5,true,x,2013-01-01,2013-01-01 10:00:00\n" * 30_000)
    snapshot = project.collect()
    assert list(project.kinds(snapshot).values()) == ["int", "float", "bool", "text", "time", "time"]
    assert snapshot.rows == 30_000


def test_nested_json_is_kept_as_its_text(project) -> None:
    """What cannot be a column must not keep the others from being ones."""
    project.put("a.jsonl", '{"a": 1, "b": {"c": [1, 2]}}\n{"a": 2, "b": null}\n')
    assert project.rows(project.collect("a.jsonl")) == [(1, '{"c":[1,2]}'), (2, None)]


def test_a_name_with_brackets_is_found_as_it_stands(tmp_path) -> None:
    """Of the project's folder, of a folder, and of a file; what is there by that very name is no pattern."""
    project = Project(tmp_path / "proj [v2]")
    project.put("d/1.csv", "a\n1\n")
    project.put("d/2.csv", "a\n2\n")
    project.put("[x]/x.csv", "a\n3\n")
    project.put("[1].csv", "a\n4\n")
    project.put("1.csv", "a\n5\n")
    for path, rows in {
        "d/*.csv": [1, 2],
        "d/[2-9].csv": [2],
        "[x]/*.csv": [3],
        "[1].csv": [4],
        "[0-9].csv": [5],
    }.items():
        assert project.rows(project.collect(path)) == [(row,) for row in rows]
        assert project.rows(project.collect(str(project.folder / path))) == [(row,) for row in rows]


def test_hidden_files_are_read_only_by_who_names_them(project) -> None:
    """What Excel or an editor leaves in a folder for the while is no data."""
    project.put("d/b.csv", "a\n1\n")
    project.put("d/.b.csv", "a\n2\n")
    project.put("d/~$b.xlsx", "who has it open")
    for path in ("d", "d/*", "*/*", "d/*b.csv"):
        assert project.rows(project.collect(path)) == [(1,)]
    for path in ("d/.b.csv", "d/.*"):
        assert project.rows(project.collect(path)) == [(2,)]


def test_a_json_object_may_have_any_number_of_names(project) -> None:
    """Hundreds in every object, or in each object others: it is a row all the same, and an empty one is empty."""
    project.put("wide.jsonl", json.dumps({f"c{i}": i for i in range(300)}) + "\n")
    assert project.rows(project.collect("wide.jsonl")) == [tuple(range(300))]
    project.put("sparse.jsonl", "".join(json.dumps({f"c{i}": i}) + "\n" for i in range(300)) + "{}\n")
    rows = project.rows(project.collect("sparse.jsonl"))
    assert [[value for value in row if value is not None] for row in rows] == [*([i] for i in range(300)), []]


def test_names_that_end_in_a_number_are_names_of_their_own(project) -> None:
    """The engine calls a second ``A`` so, but nobody else is kept from it."""
    project.put("a.jsonl", '{"a": 1, "A_1": 2}\n')
    snapshot = project.collect("a.jsonl")
    assert list(project.kinds(snapshot)) == ["a", "A_1"]
    assert project.rows(snapshot) == [(1, 2)]


def test_a_text_in_json_is_what_stands_there(project) -> None:
    """Without its quotes where others are numbers, and a number with all its digits where the brief wants a text."""
    project.put("mixed.jsonl", '{"a": 1}\n{"a": "007"}\n{"a": true}\n{"a": {"b": 1}}\n{"a": null}\n')
    assert project.rows(project.collect("mixed.jsonl")) == [("1",), ("007",), ("true",), ('{"b":1}',), (None,)]
    ids = ["12345678901234567890123", "12345678901234567890124"]
    project.put("ids.jsonl", "".join(f'{{"id": {number}}}\n' for number in ids))
    assert project.rows(project.collect("ids.jsonl", types={"id": "text"})) == [(ids[0],), (ids[1],)]
    project.put("days.jsonl", '{"d": "2013-07-01T12:30:00"}\n')
    assert project.rows(project.collect("days.jsonl", types={"d": "text"})) == [("2013-07-01T12:30:00",)]


def test_a_number_in_json_may_be_written_otherwise_than_its_kind(project) -> None:
    """A value has its type by itself: 2.0 is the whole number 2, and true is 1 where the brief wants a number."""
    project.put("1.jsonl", '{"a": 1, "b": true}\n')
    first = project.collect("*.jsonl", types={"b": "int"})
    project.put("2.jsonl", '{"a": 2.0, "b": false}\n')
    second = project.collect("*.jsonl", types={"b": "int"}, previous=first)
    assert project.rows(second) == [(1, 1), (2, 0)]


def test_the_same_rows_are_read_from_every_format(project) -> None:
    """CSV, packed CSV, JSON lines, Parquet and SQLite; they may differ in nothing that is kept."""
    rows = [{"a": 1, "b": "x", "c": 1.5}, {"a": 2, "b": None, "c": -3.25}]
    text = "a,b,c\n1,x,1.5\n2,,-3.25\n"
    project.put("f.csv", text)
    project.put("f.csv.gz", gzip.compress(text.encode()))
    with zipfile.ZipFile(project.folder / "f.zip", "w") as archive:
        archive.writestr("inner.csv", text)
    project.put("f.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    pq.write_table(pa.Table.from_pylist(rows), project.folder / "f.parquet")
    with sqlite3.connect(project.folder / "f.db") as database:
        database.execute("CREATE TABLE t (a INTEGER, b TEXT, c REAL)")
        database.executemany("INSERT INTO t VALUES (:a, :b, :c)", rows)
    database.close()
    names = ["f.csv", "f.csv.gz", "f.zip", "f.jsonl", "f.parquet", "f.db"]
    tables = [project.collect(name) for name in names]
    assert [project.rows(table) for table in tables] == [[(1, "x", 1.5), (2, None, -3.25)]] * len(names)
    assert [project.kinds(table) for table in tables] == [{"a": "int", "b": "text", "c": "float"}] * len(names)


def test_only_new_files_are_read(project) -> None:
    """A source that gained a file costs the reading of that file, even under another name."""
    project.put("1.csv", "a\n1\n")
    read: list[str] = []
    first = project.collect(read=read)
    (project.folder / "1.csv").rename(project.folder / "0.csv")
    project.put("2.csv", "a\n2\n")
    second = project.collect(previous=first, read=read)
    assert read == ["1.csv", "2.csv"]
    assert project.rows(second) == [(1,), (2,)]
    assert second.segments[0].blob == first.segments[0].blob
    assert project.collect(previous=second).digest == second.digest


def test_files_of_the_same_bytes_are_each_there_once_however_often_they_are_read(project) -> None:
    """Two files of the same bytes are two files, not four the next time."""
    for name in ("a.csv", "b.csv", "c.csv"):
        project.put(name, "k,v\n1,2\n3,4\n")
    first = project.collect()
    later = first
    for _ in range(3):
        later = project.collect(previous=later)
    assert [segment.file for segment in first.segments] == ["a.csv", "b.csv", "c.csv"]
    assert later == first
    assert project.rows(later) == [(1, 2), (3, 4)] * 3


CONTENTS = ("k,v\n1,2\n", "k,v\n1,2\n3,4\n", "k,v\n", "k,v\n5,6\n3,4\n")


@given(
    states=st.lists(
        st.dictionaries(st.sampled_from("abcd"), st.sampled_from(CONTENTS), min_size=1), min_size=1, max_size=5
    )
)
def test_a_folder_that_changes_has_the_rows_of_its_files_at_every_snapshot(states, tmp_path_factory) -> None:
    """Whatever files come, go and change, alike or not: a snapshot says what a fresh reading would."""
    project = Project(tmp_path_factory.mktemp("folder"))
    project.put("0.csv", "k,v\n0,0\n")
    snapshot = None
    for files in states:
        for name in "abcd":
            (project.folder / f"{name}.csv").unlink(missing_ok=True)
        for name, text in files.items():
            project.put(f"{name}.csv", text)
        snapshot = project.collect(previous=snapshot)
        lines = [line for _, text in sorted(files.items()) for line in text.splitlines()[1:]]
        assert project.rows(snapshot) == [tuple(map(int, line.split(","))) for line in ["0,0", *lines]]
        assert snapshot.digest == project.collect().digest


def test_reading_otherwise_reads_anew(project) -> None:
    """A change in the brief's types is heeded, though the files are the same."""
    project.put("1.csv", "a\n1\n")
    first = project.collect()
    second = project.collect(previous=first, types={"a": "text"})
    assert project.rows(second) == [("1",)]


def test_a_later_file_without_rows_is_a_quiet_day(project) -> None:
    """A header alone is refused only where nothing else says what the columns are."""
    project.put("1.csv", "a\n1\n")
    project.put("2.csv", "a\n")
    assert [segment.rows for segment in project.collect().segments] == [1, 0]


def test_a_column_may_be_all_missing_in_a_later_file(project) -> None:
    """Nothing contradicts what it was before."""
    project.put("1.csv", "a,b\n1,2013-01-01\n")
    project.put("2.csv", "a,b\n,NA\n3,\n")
    assert [row[0] for row in project.rows(project.collect())] == [1, None, 3]


def test_whole_numbers_widen_to_fractions_that_were_there_before(project) -> None:
    """A day whose values all happen to be whole is no change of type."""
    project.put("1.csv", "x\n1.5\n")
    project.put("2.csv", "x\n2\n")
    assert project.rows(project.collect()) == [(1.5,), (2.0,)]


def test_a_very_wide_table_is_read(project) -> None:
    """A thousand columns are unusual and no fault."""
    project.put("a.csv", ",".join(f"c{i}" for i in range(1000)) + "\n" + ",".join(map(str, range(1000))) + "\n")
    assert project.rows(project.collect()) == [tuple(range(1000))]


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_the_blob_does_not_depend_on_the_number_of_threads(project, threads) -> None:
    """300,000 rows are several row groups and several tasks of the engine."""
    project.put("a.csv", "a,b\n" + "".join(f"{i},t{i % 97}\n" for i in range(300_000)))
    snapshot = collect("s", Source(path="a.csv"), folder=project.folder, store=project.blobs, threads=threads)
    assert snapshot.segments[0].blob == project.collect("a.csv").segments[0].blob
    assert project.rows(snapshot)[-1] == (299_999, f"t{299_999 % 97}")


# -- what cannot be read


def _parquet(table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return sink.getvalue().to_pybytes()


CUT = _parquet(pa.table({"a": list(range(100))}))[:200]
BAD = {
    # name of the file: its bytes, what is said, where
    "empty.csv": (b"", "empty.csv is empty", "empty.csv"),
    "blank.csv": (b"\n \n", "is empty", "blank.csv"),
    "late.csv": (b"\nname,b\nx,y\n", "late.csv begins with a blank line", "late.csv:1"),
    "marked.csv": (b"\xef\xbb\xbf\r\nname,b\r\nx,y\r\n", "begins with a blank line", "marked.csv:1"),
    "header.csv": (b"a,b\n", "has a header and no row", "header.csv"),
    "short.csv": (b"a,b\n1,2\n3\n4,5\n", "ragged: this line has 1 fields, and the header has 2", "short.csv:3"),
    "long.csv": (b"a,b\n1,2\n3,4\n5,6,7\n", "ragged: this line has 3 fields, and the header has 2", "long.csv:4"),
    "open.csv": (b'a,b\n1,"x\n2,y\n', "opens a quote that is never closed", "open.csv:2"),
    "latin.csv": ("a,b\n1,M\xfcnchen\n".encode("latin-1"), "not UTF-8 text: byte 0xfc", "latin.csv:2"),
    "utf16.csv": ("a,b\n1,2\n".encode("utf-16"), "not UTF-8 text", "utf16.csv:1"),
    "twice.csv": (b"a,b,a\n1,2,3\n", "has the column 'a' twice", "twice.csv:1"),
    "case.csv": (b"Day,day\n1,2\n", "'day' and 'Day', which differ in small and capital letters", "case.csv:1"),
    "unnamed.csv": (b"a,,b\n1,2,3\n", "Column 2 of unnamed.csv has no name", "unnamed.csv:1"),
    "days.csv": (b"d\n01/02/2013\n03/04/2013\n", "day first and month first", "days.csv"),
    "years.csv": (b"d\n25/12/24\n26/11/24\n", "'d' of years.csv can be read year first and day first", "years.csv"),
    "dots.csv": (b"d\n31.12.24\n", "year first and day first", "dots.csv"),
    "dashes.csv": (b"d\n31-12-24\n30-11-24\n", "year first and day first", "dashes.csv"),
    "clocks.csv": (b"d\n31/12/24 10:00:00\n", "year first and day first", "clocks.csv"),
    "minutes.csv": (
        b"d\n2024-12-31 10:00\n31/12/24 10:00\n",
        "in column 'd' of minutes.csv has no four digits",
        "minutes.csv",
    ),
    "offset.csv": (b"d\n24-12-31T10:00:00Z\n", "A year in column 'd' of offset.csv has no four digits", "offset.csv"),
    "huge.csv": (b"id\n1\n12345678901234567890\n", "in row 2, which is not a whole number of 64 bits", "huge.csv:3"),
    "huger.csv": (b"id\n" + b"9" * 40 + b"\n", "in row 1, which is not a whole number of 64 bits", "huger.csv:2"),
    "gone.csv.gz": (gzip.compress(b"a\n1\n" * 999)[:-20], "not a whole gzip file", "gone.csv.gz"),
    "never.csv.gz": (b"a,b\n1,2\n", "not a whole gzip file", "never.csv.gz"),
    "never.zip": (b"a,b\n1,2\n", "not a whole zip file", "never.zip"),
    "cut.parquet": (CUT, "cut.parquet cannot be read", "cut.parquet"),
    "never.parquet": (b"PAR1 but no more", "never.parquet cannot be read", "never.parquet"),
    "never.db": (b"not a database at all", "cannot be read as SQLite", "never.db"),
    "broken.jsonl": (b'{"a": 1}\n{"a": x}\n{"a": 3}\n', "not a JSON object: JSON is malformed", "broken.jsonl:2"),
    "list.jsonl": (b"[1, 2]\n", "not a JSON object: Expected `object`", "list.jsonl:1"),
    "unnamed.jsonl": (b'{"a": 1}\n{"": 1, "a": 2}\n', "a value has no name", "unnamed.jsonl:2"),
    "void.jsonl": (b"{}\n{}\n", "holds no value", "void.jsonl"),
    "void.jsonl.gz": (gzip.compress(b"\n"), "holds no value", "void.jsonl.gz"),
    "case.jsonl": (b'{"Day": 1}\n{"day": 2}\n', "'day' and 'Day', which differ in small and capital", "case.jsonl"),
    "huge.jsonl": (
        b'{"id": 1}\n{"id": 12345678901234567890123}\n',
        "in row 2, which is not a whole number of 64 bits",
        "huge.jsonl:2",
    ),
    "empty.jsonl": (b"\n\n", "is empty", "empty.jsonl"),
    "what.doc": (b"a,b\n", "does not say its format", "what.doc"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_cannot_be_read_is_named_with_its_fault(project, name) -> None:
    """File, and line where there is one; nothing is taken."""
    data, what, where = BAD[name]
    project.put(name, data)
    with pytest.raises(SourceError) as caught:
        project.collect(name)
    assert what in caught.value.what
    assert caught.value.where == str(project.folder / where)
    assert not list((project.folder / "blobs").rglob("*.parquet"))


LATER = {
    "lacks": ("a\n1\n", "2.csv has no column 'bb', which was there before", ""),
    "renames": ("a,b\n1,2\n", "2.csv has no column 'bb'", "Did you mean 'b'?"),
    "adds": ("a,bb,c\n1,2,3\n", "2.csv has a column 'c' that was not there before", "types.c"),
    "fraction": ("a,bb\n1,2\n1,2.5\n", "column 'bb' holds '2.5' in row 2, which is not a whole number", "types.bb"),
    "text": ("a,bb\n1,2\n1,x\n1,y\n", "column 'bb' holds 'x' in row 2, which is not a whole number", "'text'"),
}


@pytest.mark.parametrize("change", LATER)
def test_a_later_file_that_does_not_fit_is_named(project, change) -> None:
    """A column gone, renamed, added, or of another type; with the first value that does not fit."""
    text, what, hint = LATER[change]
    project.put("1.csv", "a,bb\n1,2\n")
    before = project.collect()
    project.put("2.csv", text)
    with pytest.raises(SourceError) as caught:
        project.collect(previous=before)
    assert what in caught.value.what
    assert hint in caught.value.hint
    if "row 2" in what:
        assert caught.value.where.endswith("2.csv:3")


@pytest.mark.parametrize("kind", ["int", "bool", "time", "float"])
def test_a_declared_type_that_does_not_hold_is_named_with_the_value(project, kind) -> None:
    """The brief said so; the file says otherwise."""
    project.put("a.csv", "x\n1\noops\n")
    with pytest.raises(SourceError, match="column 'x' holds 'oops' in row 2" if kind in {"int", "float"} else "holds"):
        project.collect(types={"x": kind})


def test_a_declared_type_of_no_column_is_refused(project) -> None:
    """A slip of the pen in the brief is not silently without effect."""
    project.put("a.csv", "price\n1\n")
    with pytest.raises(SourceError, match="has no column 'prise'") as caught:
        project.collect(types={"prise": "float"})
    assert caught.value.where == "sources.s.types.prise"
    assert caught.value.hint == "Did you mean 'price'?"


def test_a_zip_with_two_members_is_refused(project) -> None:
    """Which of the two is meant, only a person can say."""
    with zipfile.ZipFile(project.folder / "a.zip", "w") as archive:
        archive.writestr("one.csv", "a\n1\n")
        archive.writestr("../two.csv", "a\n1\n")
    with pytest.raises(SourceError, match="holds 2 files") as caught:
        project.collect("a.zip")
    assert "one.csv" in caught.value.hint


def test_a_name_in_a_zip_leads_nowhere_else(project) -> None:
    """A member called ../x is unpacked as x, in a folder of its own."""
    with zipfile.ZipFile(project.folder / "a.zip", "w") as archive:
        archive.writestr("../../escaped.csv", "a\n1\n")
    assert project.rows(project.collect("a.zip")) == [(1,)]
    assert not list(project.folder.parent.rglob("escaped.csv"))


@pytest.mark.parametrize("tables", [[], ["orders", "items"]])
def test_a_database_without_one_table_asks_which(project, tables) -> None:
    """None, or several and none named."""
    with sqlite3.connect(project.folder / "a.db") as database:
        database.execute("PRAGMA user_version = 1")
        for table in tables:
            database.execute(f"CREATE TABLE {table} (a INTEGER)")
    database.close()
    with pytest.raises(SourceError, match=f"has {len(tables)} tables, and none is named") as caught:
        project.collect("a.db")
    assert "sources.s.table" in caught.value.hint
    if tables:
        with pytest.raises(SourceError, match="has no table 'ordres'") as caught:
            project.collect("a.db", table="ordres")
        assert caught.value.hint == "Did you mean 'orders'?"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("flihgts.csv", "Did you mean 'flights.csv'?"),
        ("nowhere/a.csv", "There is no folder"),
        ("nowhere/deeper/*.csv", "nowhere either."),
        ("hollow", "The folder holds no file whose name ends in"),
        ("hollow/a.csv", "hollow is empty."),
        ("hollow/*.csv", "hollow is empty."),
        ("*s/a.csv", "Known: flights.csv, hollow."),
        ("**x/*.csv", ""),
        ("a\0b", ""),
        ("~nobody_of_that_name/a.csv", ""),
    ],
)
def test_a_path_that_names_no_file_is_refused(project, path, said) -> None:
    """Misspelt, in a folder that is not there, a folder without data, or no path at all."""
    project.put("flights.csv", "a\n1\n")
    (project.folder / "hollow").mkdir()
    with pytest.raises(SourceError) as caught:
        project.collect(path)
    assert caught.value.where == "sources.s.path"
    assert said in caught.value.hint


def test_a_type_that_is_no_table_value_is_refused(project) -> None:
    """Bytes are neither number nor text."""
    pq.write_table(pa.table({"a": [1], "blob": [b"\x00\x01"]}), project.folder / "a.parquet")
    with pytest.raises(SourceError, match="'blob' of source 's' is a BLOB"):
        project.collect("a.parquet")


def test_a_file_that_may_not_be_read_is_said(project, monkeypatch) -> None:
    """The machine's refusal is a SourceError too."""
    path = project.put("a.csv", "a\n1\n")

    def refuse(_):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("headway.sources.files._digest", refuse)
    with pytest.raises(SourceError, match=r"a\.csv cannot be read: Permission denied"):
        project.collect()


def test_a_file_that_changes_while_it_is_read_is_refused(project, monkeypatch) -> None:
    """What would be stored under the digest of one content might be another."""
    path = project.put("a.csv", "a\n1\n")
    monkeypatch.setattr("headway.sources.files._digest", lambda _: path.write_text("a\n1\n2\n") and "0" * 64)
    with pytest.raises(SourceError, match="changed while it was read"):
        project.collect()


def test_the_kind_of_a_column_is_one_that_fits_all_files_that_are_there(project) -> None:
    """A first file of whole numbers, and one without a value, do not decide for the files after them."""
    project.put("a.csv", "day,rain,gust\n1,0,\n2,0,\n")
    project.put("b.csv", "day,rain,gust\n3,0.25,11.5\n")
    snapshot = project.collect()
    assert project.kinds(snapshot) == {"day": "int", "rain": "float", "gust": "float"}
    assert project.rows(snapshot) == [(1, 0.0, None), (2, 0.0, None), (3, 0.25, 11.5)]


def test_numbers_here_and_text_there_are_not_taken_for_one_column(project) -> None:
    """Among files that are read together, too, the first value that does not fit is named."""
    project.put("a.csv", "day\n1\n")
    project.put("b.csv", "day\n2\nx\n")
    with pytest.raises(SourceError, match="holds 'x' in row 2"):
        project.collect()


@pytest.mark.parametrize("packed", ["a.csv", "a.csv.zip"])
def test_a_disk_that_is_full_is_no_fault_of_the_file(project, packed) -> None:
    """Neither for what the engine writes nor for what is unpacked; with room the same file is read."""
    chance = random.Random(7)
    text = "a\n" + "".join(f"{chance.random()}\n" for _ in range(20_000))
    if packed == "a.csv":
        project.put(packed, text)
    else:
        with zipfile.ZipFile(project.folder / packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a.csv", text)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(StoreFull, match=r"No space is left .*File too large.*TMPDIR"):
            project.collect(packed)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert project.collect(packed).rows == 20_000


@pytest.mark.parametrize("column", ["@part", "@origin", "@row", "@anything", "file_row_number", "FILENAME", "rowid"])
@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_a_column_with_a_name_that_is_needed_is_refused_until_it_is_called_otherwise(project, column, name) -> None:
    """Versions could not be read with it; the refusal says what to write, and with that the file is read."""
    table = pa.table({"a": [1, 2], column: ["x", "y"]})
    if name == "a.csv":
        project.put(name, f"a,{column}\n1,x\n2,y\n")
    else:
        pq.write_table(table, project.folder / name)
    with pytest.raises(SourceError, match=f"Column '{column}' of source 's' has a name that") as caught:
        project.collect(name)
    assert "sources.s.rename = {" in caught.value.hint
    assert f'"{column}" = ' in caught.value.hint
    snapshot = project.collect(name, rename={column: "row"})
    assert project.kinds(snapshot) == {"a": "int", "row": "text"}
    assert project.rows(snapshot) == [(1, "x"), (2, "y")]


def test_the_columns_of_an_only_file_are_not_taken_for_ones_to_leave_out(project) -> None:
    """What is more than the table has is told by a second file: the first one says what the table has."""
    project.put("a.csv", "a,b\n1,2\n")
    assert project.rows(project.collect(extra_columns="ignore")) == [(1, 2)]


def test_a_column_with_a_name_that_is_needed_may_be_left_out(project) -> None:
    """Columns that come later and are not wanted are in nobody's way."""
    project.put("a.csv", "a\n1\n")
    first = project.collect(extra_columns="ignore")
    project.put("b.csv", "a,@row\n2,x\n")
    snapshot = project.collect(previous=first, extra_columns="ignore")
    assert project.rows(snapshot) == [(1,), (2,)]
