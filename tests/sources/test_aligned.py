"""Several sources of one table: brought to the same columns as far as the brief says, and each row knows its own."""

from __future__ import annotations

import sqlite3

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import feather

from headway.blobs import FolderBlobs
from headway.data.collect import collect
from headway.errors import SourceError
from headway.nouns.brief import Source


class Table:
    """A project whose one source is several files."""

    def __init__(self, folder) -> None:
        self.folder, self.blobs = folder, FolderBlobs(folder / "blobs")
        self.read: list[str] = []

    def put(self, name: str, text: str) -> None:
        """Write a file."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def collect(self, path: str = "*.csv", previous=None, **fields):
        """Collect what is there."""
        return collect(
            "s", Source(path=path, **fields), folder=self.folder, store=self.blobs, previous=previous,
            progress=self.read.append, threads=1,
        )  # fmt: skip

    def rows(self, snapshot):
        """Return all rows, in order, by column."""
        return [
            row for segment in snapshot.segments for row in pq.read_table(self.blobs.path(segment.blob)).to_pylist()
        ]


@pytest.fixture
def table(tmp_path):
    """Return a table of which there is nothing yet."""
    return Table(tmp_path)


def test_columns_may_stand_in_another_order(table) -> None:
    """By name, not by place."""
    table.put("1.csv", "a,b\n1,x\n")
    table.put("2.csv", "b,a\ny,2\n")
    assert table.rows(table.collect()) == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]


def test_sources_of_several_kinds_are_one_table_and_each_row_knows_its_own(table) -> None:
    """Text, columns and a database; names that differ are declared."""
    table.put("old/1.csv", "Tail Number,seats\nN1,100\n")
    pq.write_table(pa.table({"seats": [200], "tailnum": ["N2"]}), table.folder / "new.parquet")
    with sqlite3.connect(table.folder / "more.db") as database:
        database.execute("CREATE TABLE planes (tailnum TEXT, seats INTEGER)")
        database.execute("INSERT INTO planes VALUES ('N3', 300)")
    database.close()
    fields = {"also": ("new.parquet", "more.db"), "rename": {"Tail Number": "tailnum"}}
    snapshot = table.collect("old", **fields)
    assert table.rows(snapshot) == [{"tailnum": f"N{i}", "seats": i * 100} for i in (1, 2, 3)]
    assert [segment.file for segment in snapshot.segments] == ["old/1.csv", "new.parquet", "more.db"]
    assert table.collect("old", previous=snapshot, **fields).digest == snapshot.digest
    assert len(table.read) == 3


def test_a_file_that_several_paths_name_counts_once(table) -> None:
    """Written otherwise, in a pattern, or by a link: its rows are there once, where the first path puts them."""
    table.put("d/1.csv", "a\n1\n")
    table.put("d/2.csv", "a\n2\n")
    (table.folder / "latest.csv").symlink_to(table.folder / "d" / "2.csv")
    also = ("d/2.csv", "./d/2.csv", "d", "d/../d/*.csv", str(table.folder / "d" / "1.csv"), "latest.csv")
    snapshot = table.collect("d/2.csv", also=also)
    assert table.rows(snapshot) == [{"a": 2}, {"a": 1}]
    assert [segment.file for segment in snapshot.segments] == ["d/2.csv", "d/1.csv"]


def test_a_column_that_a_file_lacks_is_filled_up_where_the_brief_says_so(table) -> None:
    """Missing in the whole file; the kind is that of the other files. Without a word in the brief it is refused."""
    table.put("1.csv", "a,b\n1,1.5\n")
    table.put("2.csv", "a\n2\n")
    assert table.rows(table.collect(missing_columns="fill")) == [{"a": 1, "b": 1.5}, {"a": 2, "b": None}]
    with pytest.raises(SourceError, match="has no column 'b'"):
        table.collect()


def test_a_column_that_the_first_file_has_not_is_left_out_or_added_to_all(table) -> None:
    """As the brief says; added later on, all files are read anew so that the table has it."""
    table.put("1.csv", "a\n1\n")
    table.put("2.csv", "a,n\n2,0.5\n")
    assert table.rows(table.collect(extra_columns="ignore")) == [{"a": 1}, {"a": 2}]
    first = table.collect(extra_columns="add")
    assert table.rows(first) == [{"a": 1, "n": None}, {"a": 2, "n": 0.5}]
    table.put("3.csv", "m,a\nx,3\n")
    second = table.collect(previous=first, extra_columns="add")
    assert table.rows(second) == [
        {"a": 1, "n": None, "m": None}, {"a": 2, "n": 0.5, "m": None}, {"a": 3, "n": None, "m": "x"},
    ]  # fmt: skip
    table.read.clear()
    table.put("4.csv", "a\n4\n")
    third = table.collect(previous=second, extra_columns="add")
    assert table.read == ["4.csv"]
    assert table.rows(third)[-1] == {"a": 4, "n": None, "m": None}
    with pytest.raises(SourceError, match="has a column 'n' that was not there before"):
        table.collect()


@pytest.mark.parametrize(
    ("text", "rename", "said"),
    [
        ("a,b\n1,2\n", {"a": "b"}, "has a column 'b' as well as 'a'"),
        ("a,B\n1,2\n", {"a": "b"}, "has a column 'B' as well as 'a', which is to be called 'b'"),
        ("a,b\n1,2\n", {"a": "c", "b": "C"}, "has a column 'a' as well as 'b', and both are to be called 'C'"),
        ("a,b\n1,2\n", {"aa": "c"}, "has no column 'aa', and none that is called 'c' already"),
    ],
)
def test_a_renaming_that_cannot_be_is_refused(table, text, rename, said) -> None:
    """A slip of the pen is not silently without effect."""
    table.put("1.csv", text)
    with pytest.raises(SourceError, match=said) as caught:
        table.collect(rename=rename)
    assert caught.value.where.startswith("sources.s.rename.")


def test_a_file_of_names_that_differ_is_named_with_its_line_all_the_same(table) -> None:
    """Renaming hides neither the line nor the value that does not fit."""
    table.put("1.csv", "Price\n1\nx\n")
    with pytest.raises(SourceError, match="column 'price' holds 'x' in row 2") as caught:
        table.collect(rename={"Price": "price"}, types={"price": "float"})
    assert caught.value.where.endswith("1.csv:3")


@pytest.mark.parametrize("fields", [{"extra_columns": "ignore"}, {"extra_columns": "add", "missing_columns": "fill"}])
def test_a_table_of_one_file_so_far_has_that_files_columns(table, fields) -> None:
    """Nothing is known yet that a column could be more than, or less."""
    table.put("1.csv", "a,b\n1,x\n")
    first = table.collect(**fields)
    assert table.rows(first) == [{"a": 1, "b": "x"}]
    table.put("2.csv", "b,a\ny,2\n")
    assert table.rows(table.collect(previous=first, **fields)) == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]


def test_two_columns_may_change_their_names_with_each_other(table) -> None:
    """After that there are two names again, and no value is lost."""
    table.put("1.csv", "a,b\n1,x\n")
    assert table.rows(table.collect(rename={"a": "b", "b": "a"})) == [{"b": 1, "a": "x"}]


@pytest.mark.parametrize("fields", [{"extra_columns": "add"}, {"extra_columns": "ignore"}, {"missing_columns": "fill"}])
def test_a_column_in_other_capitals_is_neither_added_nor_left_out(table, fields) -> None:
    """The engine knows no capitals: it would give the same values to both. Renamed, the files are one table."""
    table.put("1.csv", "a,b\n1,x\n")
    table.put("2.csv", "A,b\n2,y\n")
    with pytest.raises(SourceError, match=r"2\.csv has a column 'A' where others have 'a'") as caught:
        table.collect(**fields)
    assert caught.value.hint == 'Rename one in its file, or set rename = { "A" = "a" }.'
    assert table.rows(table.collect(rename={"A": "a"}, **fields)) == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]


@pytest.mark.parametrize("names", [["a", "A"], ["a", "a"]])
@pytest.mark.parametrize("path", ["1.parquet", "1.arrow"])
def test_columns_of_one_name_are_refused_where_the_file_brings_its_types(table, path, names) -> None:
    """As in a CSV; what a nested column is made of has names of its own."""
    parts = pa.array([{"a": 1, "deeper": {"a": 1}}])
    wanted = pa.Table.from_arrays([parts, pa.array([1]), pa.array([2])], ["parts", *names])
    write = pq.write_table if path.endswith("parquet") else feather.write_feather
    write(wanted, table.folder / path)
    with pytest.raises(SourceError, match=f"{path} has the column '{names[1]}' "):
        table.collect(path)
    write(wanted.rename_columns(["parts", "a", "b"]), table.folder / path)
    assert [(row["a"], row["b"]) for row in table.rows(table.collect(path))] == [(1, 2)]
