"""What a look at data files finds."""

from __future__ import annotations

import gzip
import sqlite3
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headway.define.look import look
from headway.errors import SourceError
from headway.sources import delimited


def test_the_orders_are_seen_for_what_they_are(shop):
    """Key, event, what is filled in later, and the target, with figures that were counted in the file itself."""
    (orders,) = shop.looks.sources
    lines = (shop.folder / "orders.csv").read_text().splitlines()[1:]
    returned = sum(line.endswith(",yes") for line in lines)
    assert orders.rows == len(lines) == 8_000
    assert orders.key == ("order_id",)
    assert orders.time == "ordered_at"
    assert set(orders.later) == {"shipped_at", "return_until"}
    assert orders.outcomes == ("returned",)
    target = orders.targets[0]
    assert (target.column, target.known_by[0]) == ("returned", "return_until")
    assert target.base_rate == pytest.approx(returned / 8_000)
    assert orders.column("discount").distinct == 4
    assert (orders.column("country").kind, orders.column("price").kind) == ("text", "float")


def test_sources_are_joined_by_name_by_value_and_as_of(airport):
    """A dimension of the same name, one of another name with the same values, and the latest row of an entity."""
    looks = look([airport / name for name in ("trips", "weather.csv", "planes.csv", "airports.csv")], folder=airport)
    found = {(join.mine, join.theirs, join.pairs, join.shape) for join in looks.joins if join.mine == "trips"}
    assert ("trips", "weather", (("origin", "origin"),), "asof") in found
    assert ("trips", "planes", (("tailnum", "tailnum"),), "static") in found
    assert ("trips", "airports", (("dest", "faa"),), "static") in found
    trips = looks.source("trips")
    assert (trips.files, trips.rows, trips.path) == (2, 2 * 24 * 30 * 4, "trips")
    assert trips.time == "sched_dep"
    assert set(trips.outcomes) == {"dep_delay", "arr_delay"}
    assert trips.targets[0].column == "arr_delay"
    assert looks.source("weather").key == ("origin", "time_hour")


def test_what_is_missing_where_an_outcome_is_missing_is_an_outcome_too(tmp_path):
    """A column of an innocent name that is empty exactly where the delay is empty was filled in with it."""
    rows = "\n".join(
        f"{n},2024-01-{1 + n % 28:02d}T00:00:00Z,{n % 7}," + ("," if n % 11 == 0 else f"{n % 50},{n % 13}")
        for n in range(400)
    )
    (tmp_path / "t.csv").write_text(f"id,created_at,size,arr_delay,minutes\n{rows}\n")
    (seen,) = look([tmp_path / "t.csv"], folder=tmp_path).sources
    assert set(seen.outcomes) == {"arr_delay", "minutes"}


@pytest.mark.parametrize(("first", "late", "kind"), [("1", "3.7", "float"), ("13/02/2013", "01/01/1900", "time")])
def test_a_large_file_whose_late_values_say_more_than_its_first_is_looked_at_all_the_same(
    tmp_path, monkeypatch, first, late, kind
):
    """The column is what all of its values say, as in the Data stage."""
    monkeypatch.setattr(delimited, "_LARGE_BYTES", 0)
    monkeypatch.setattr(delimited, "_SAMPLE_ROWS", 2_048)
    (tmp_path / "t.csv").write_text("v,n\n" + f"{first},1\n" * 5_000 + f"{late},2\n")
    (seen,) = look([tmp_path / "t.csv"], folder=tmp_path).sources
    assert (seen.column("v").kind, seen.column("v").distinct, seen.rows) == (kind, 2, 5_001)


@pytest.mark.parametrize(
    ("values", "label", "rate"),
    [
        (["yes", "no", "no", "no"], "churned", 0.25),  # the engine reads yes and no as a truth
        (["1", "0", "0", "0"], "churned = 1", 0.25),
        (["left", "stayed", "stayed", "stayed"], "churned = 'left'", 0.25),
        (["true", "false", "false", "false"], "churned", 0.25),
        (["Y", "N", "N", "N"], None, 0.25),
        (["it's so", "not so", "not so", "not so"], "churned = 'it''s so'", 0.25),
    ],
)
def test_two_values_make_a_condition_whatever_they_are(tmp_path, begin, values, label, rate):
    """Text, numbers and truths: the value that says yes, or else the rarer one, is the target."""
    body = "\n".join(f'{n},2024-0{1 + n % 6}-{1 + n % 28:02d}T10:00:00Z,{n % 9},"{values[n % 4]}"' for n in range(400))
    (tmp_path / "people.csv").write_text(f"person_id,seen_at,visits,churned\n{body}\n")
    begun = begin(tmp_path, tmp_path / "people.csv")
    target = begun.looks.sources[0].targets[0]
    assert target.column == "churned"
    assert label is None or target.label == label
    assert target.base_rate == pytest.approx(rate)
    assert begun.facts().base_rate == pytest.approx(rate)


def test_a_status_of_several_values_offers_the_one_that_is_an_outcome(tmp_path):
    """Of delivered, cancelled and lost, what went wrong is offered."""
    words = ["delivered"] * 17 + ["cancelled"] * 2 + ["open"]
    body = "\n".join(f"{n},2024-01-{1 + n % 28:02d},{words[n % 20]}" for n in range(400))
    (tmp_path / "t.csv").write_text(f"id,created,status\n{body}\n")
    (seen,) = look([tmp_path / "t.csv"], folder=tmp_path).sources
    assert [target.label for target in seen.targets] == ["status = 'cancelled'"]
    assert seen.targets[0].base_rate == pytest.approx(0.1)


def test_a_moment_that_is_there_only_when_it_came_true_says_how_long_to_wait(tmp_path, begin):
    """Without a return there is no returned_at: no means no only after as long as returns take."""
    lines = []
    for n in range(600):
        day, back = f"2024-0{1 + n // 100}-{1 + n % 27:02d}", n % 6 == 0
        lines.append(f"{n},{day}T08:00:00Z,{n % 5},{int(back)},{f'{day}T20:00:00Z' if back else ''}")
    (tmp_path / "t.csv").write_text("id,ordered_at,size,returned,returned_at\n" + "\n".join(lines) + "\n")
    begun = begin(tmp_path, tmp_path / "t.csv")
    target = begun.looks.sources[0].targets[0]
    assert (target.known_by, target.only_when_true, target.delay_us) == ((), "returned_at", 12 * 3_600_000_000)
    assert begun.brief.target.label_known_at == "ordered_at + interval 12 hours"
    assert begun.facts().labelled == 600


def test_a_column_that_gives_the_answer_away_is_no_feature(tmp_path, begin):
    """The reason of a return is there only for returns: it tells everything and is left out, with that reason."""
    lines = [
        f"{n},2024-0{1 + n // 100}-{1 + n % 27:02d}T08:00:00Z,{n % 5},{'' if n % 6 else 'too small'},{int(n % 6 == 0)}"
        for n in range(600)
    ]
    (tmp_path / "t.csv").write_text("id,ordered_at,size,why,returned\n" + "\n".join(lines) + "\n")
    begun = begin(tmp_path, tmp_path / "t.csv")
    assert begun.looks.sources[0].targets[0].tells == ("why",)
    assert "why" not in begun.brief.features
    assert '"why" is filled in later' in begun.text or "why is filled in later" in begun.text


def test_keys_of_two_and_three_columns_are_found_and_the_smallest_win(tmp_path):
    """No column alone tells these rows apart, two do."""
    body = "\n".join(
        f"{shop},{till},2024-01-{day:02d},{day % 3}" for shop in "AB" for till in range(4) for day in range(1, 29)
    )
    (tmp_path / "t.csv").write_text(f"shop_id,till_no,day_on,sales\n{body}\n")
    (seen,) = look([tmp_path / "t.csv"], folder=tmp_path).sources
    assert seen.key == ("shop_id", "till_no", "day_on")


def test_a_large_file_is_sampled_and_still_counted_whole(tmp_path):
    """Rows, span and key are of all rows, though few are looked at closely; a late double undoes a key."""
    body = [f"{n},2024-01-{1 + n // 100:02d}T00:00:00Z,{n % 2}" for n in range(2_000)]
    (tmp_path / "t.csv").write_text("id,at,won\n" + "\n".join(body) + "\n")
    (seen,) = look([tmp_path / "t.csv"], folder=tmp_path, rows=500).sources
    assert (seen.rows, seen.sampled, seen.key) == (2_000, 500, ("id",))
    assert seen.last_us - seen.first_us == 19 * 86_400_000_000
    (tmp_path / "t.csv").write_text("id,at,won\n" + "\n".join([*body, body[0]]) + "\n")
    (seen,) = look([tmp_path / "t.csv"], folder=tmp_path, rows=500).sources
    assert ("id",) not in seen.keys


def test_semicolons_zip_gzip_and_parquet_look_the_same(tmp_path, write_orders):
    """The same rows in another wrapping are the same look, but for the path."""
    write_orders(tmp_path / "a.csv", rows=500)
    write_orders(tmp_path / "b.csv", rows=500, separator=";")
    with gzip.open(tmp_path / "c.csv.gz", "wb") as packed:
        packed.write((tmp_path / "a.csv").read_bytes())
    with zipfile.ZipFile(tmp_path / "d.csv.zip", "w") as archive:
        archive.write(tmp_path / "a.csv", "a.csv")
    looks = [
        look([tmp_path / name], folder=tmp_path).sources[0] for name in ("a.csv", "b.csv", "c.csv.gz", "d.csv.zip")
    ]
    for other in looks[1:]:
        assert other.columns == looks[0].columns
        assert other.targets == looks[0].targets
    pq.write_table(pa.table({"id": [1, 2], "at": pa.array([1, 2], pa.timestamp("us", "UTC"))}), tmp_path / "e.parquet")
    (seen,) = look([tmp_path / "e.parquet"], folder=tmp_path).sources
    assert (seen.rows, seen.time, seen.zoned) == (2, "at", True)


def test_every_table_of_sqlite_is_a_source_and_its_dates_are_moments(tmp_path):
    """SQLite keeps dates as text; the brief must say that they are moments."""
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        connection.execute("CREATE TABLE customers (customer_id INTEGER, country TEXT)")
        connection.execute(
            "CREATE TABLE orders (order_id INTEGER, customer_id INTEGER, ordered_at TEXT, returned INTEGER)"
        )
        connection.executemany("INSERT INTO customers VALUES (?, ?)", [(n, "DE" if n % 2 else "FR") for n in range(20)])
        rows = [(n, n % 20, f"2024-01-{1 + n % 28:02d} 10:00:00", int(n % 5 == 0)) for n in range(200)]
        connection.executemany("INSERT INTO orders VALUES (?, ?, ?, ?)", rows)
    connection.close()
    looks = look([tmp_path / "shop.db"], folder=tmp_path)
    assert [(seen.name, seen.table, seen.rows) for seen in looks.sources] == [
        ("customers", "customers", 20),
        ("orders", "orders", 200),
    ]
    orders = looks.source("orders")
    assert (orders.time, orders.column("ordered_at").read_as) == ("ordered_at", "time")
    assert [(join.mine, join.theirs, join.shape) for join in looks.joins if join.mine == "orders"] == [
        ("orders", "customers", "static")
    ]


def test_a_folder_of_different_files_is_several_sources(airport):
    """Files with the same columns are one source; others stand for themselves."""
    looks = look([airport], folder=airport)
    assert sorted(seen.name for seen in looks.sources) == ["airports", "planes", "weather"]
    assert look([str(airport / "trips" / "*.csv")], folder=airport).sources[0].path == "trips/*.csv"


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("empty.csv", b"", "is empty"),
        ("header.csv", b"a,b\n", "no row"),
        ("ragged.csv", b"a,b\n1,2\n3,4,5\n6,7\n", "3 fields, and the header has 2"),
        ("cut.parquet", b"PAR1....", "cannot be read"),
        ("cut.zip", b"PK...", "does not say its format"),
        ("cut.csv.zip", b"PK...", "not a whole zip file"),
        ("notes.docx", b"x", "does not say its format"),
        ("broken.db", b"not a database at all, but long enough to be looked at" * 40, "cannot be read as SQLite"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_what_is_wrong(tmp_path, name, content, what):
    """The error names the file and says what was found; nothing of the engine's own words is a traceback."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=what):
        look([tmp_path / name], folder=tmp_path)


def test_a_misspelt_file_brings_the_near_one_to_mind(tmp_path, write_orders):
    """A wrong letter in a path costs a glance, not a search."""
    write_orders(tmp_path / "orders.csv", rows=10)
    with pytest.raises(SourceError) as raised:
        look([tmp_path / "order.csv"], folder=tmp_path)
    assert raised.value.hint == "Did you mean 'orders.csv'?"


def test_whatever_can_be_a_source_can_be_looked_at(tmp_path):
    """The look reads as the Data stage will: the same columns and rows from a sheet, a database and packed text."""
    import duckdb
    import openpyxl
    from pyarrow import feather

    rows = [(number, f"c{number % 3}", number / 2) for number in range(60)]
    book = openpyxl.Workbook()
    for row in [("id", "c", "x"), *rows]:
        book.active.append(row)
    book.save(tmp_path / "sheet.xlsx")
    columns = [list(column) for column in zip(*rows, strict=True)]
    feather.write_feather(pa.table(columns, names=["id", "c", "x"]), tmp_path / "f.arrow")
    with duckdb.connect(str(tmp_path / "d.duckdb")) as connection:
        connection.execute("CREATE TABLE t AS SELECT i AS id, 'c' || (i % 3) AS c, i / 2e0 AS x FROM range(60) AS r(i)")
    text = "id,c,x\n" + "".join(f"{number},{c},{x}\n" for number, c, x in rows)
    with pa.OSFile(str(tmp_path / "z.csv.zst"), "wb") as file, pa.CompressedOutputStream(file, "zstd") as packed:
        packed.write(text.encode())
    looks = look([tmp_path / name for name in ("sheet.xlsx", "f.arrow", "d.duckdb", "z.csv.zst")], folder=tmp_path)
    assert [source.rows for source in looks.sources] == [60] * 4
    kinds = [[(column.name, column.kind, column.distinct) for column in source.columns] for source in looks.sources]
    assert kinds == [[("id", "int", 60), ("c", "text", 3), ("x", "float", 60)]] * 4


def test_files_of_one_pattern_with_other_columns_are_named(tmp_path):
    """Rather than what the engine would say of it."""
    (tmp_path / "1.csv").write_text("a,b\n1,2\n")
    (tmp_path / "2.csv").write_text("a,c\n1,2\n")
    with pytest.raises(SourceError, match=r"2\.csv and 1\.csv differ in the column"):
        look([f"{tmp_path}/*.csv"], folder=tmp_path)
