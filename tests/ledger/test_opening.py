"""A ledger opens, is refused with a reason, or is begun; whatever lies at the place."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from headway import __version__
from headway.blobs import FolderBlobs
from headway.errors import NotFound, StoreCorrupt, StoreError, StoreTooNew
from headway.ledger import Head, Ledger, opening
from headway.ledger.tables import metadata
from headway.nouns.event import KINDS, BriefSeen

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

OLD = Path(__file__).parent / "old"
GUARDS = {
    "sqlite": "SELECT sql FROM sqlite_master WHERE type = 'trigger'",
    "postgresql": "SELECT pg_get_triggerdef(t.oid) || prosrc FROM pg_trigger t JOIN pg_proc p ON p.oid = tgfoid "
    "WHERE NOT tgisinternal",
}


def test_the_schema_that_migrations_make_is_the_one_that_a_new_store_has(where: Any) -> None:
    """Table by table, column by column, index by index, as Alembic compares them; and the guards of the events."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    def schema(connection: sa.Connection) -> dict[str, Any]:
        looked = sa.inspect(connection)
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []
        return {
            "key": {name: looked.get_pk_constraint(name) for name in looked.get_table_names()},
            "version": connection.execute(sa.text("SELECT * FROM alembic_version")).all(),
            "guards": sorted(
                " ".join(text.split()) for text in connection.scalars(sa.text(GUARDS[looked.dialect.name]))
            ),
        }

    with Ledger.open(where) as ledger:
        with ledger._engine.connect() as connection:
            new = schema(connection)
        assert new["guards"]
        with ledger._engine.connect().execution_options(headway_writes=True) as connection, connection.begin():
            metadata.drop_all(connection)
            connection.execute(sa.text("DROP TABLE alembic_version"))
            if connection.dialect.name == "postgresql":
                connection.execute(sa.text("DROP FUNCTION refuse_change_of_events"))
            opening._migrate(connection)
            assert schema(connection) == new


def test_the_newest_migration_is_the_schema_of_the_code() -> None:
    """The fast way at opening compares with this constant."""
    from alembic.script import ScriptDirectory

    script = ScriptDirectory(str(Path(opening.__file__).parent / "migrations"))
    assert script.get_heads() == [opening.SCHEMA]


def test_opening_a_new_or_current_store_does_not_import_alembic(
    tmp_path: Path, spawn: Callable[..., subprocess.Popen[str]]
) -> None:
    """Only one after an upgrade pays for migrations: a new store is made as the code has it."""
    script = """
        import sys
        from headway.ledger import Ledger
        Ledger.open(sys.argv[1]).close()
        print("alembic" in sys.modules)
    """
    for _ in ("new", "current"):
        assert spawn(script, tmp_path / "ledger.sqlite").communicate() == ("False\n", "")


def test_a_store_of_a_later_version_is_refused_with_both_versions(where: Any) -> None:
    """The message says what to do, and the store is as it was."""
    with Ledger.open(where) as ledger:
        ledger.append(BriefSeen(brief="b", text="t"), now_us=1)
        engine = ledger._engine
        with engine.connect().execution_options(headway_writes=True) as connection, connection.begin():
            connection.execute(sa.text("UPDATE alembic_version SET version_num = '9001'"))
    with pytest.raises(StoreTooNew) as caught:
        Ledger.open(where)
    assert "schema 9001" in caught.value.what
    assert f"Headway {__version__} knows schemas up to {opening.SCHEMA}" in caught.value.what
    assert "Upgrade Headway" in caught.value.hint


def test_nothing_is_begun_where_nothing_shall_be(where: Any) -> None:
    """Looking at a store does not make one."""
    with pytest.raises(NotFound, match="no ledger"):
        Ledger.open(where, create=False)
    assert not (isinstance(where, Path) and where.exists())


@pytest.mark.parametrize("bytes_", [b"customer,amount\n1,2\n", b"SQLite format 3\0" + b"\xff" * 4096])
def test_a_file_that_is_no_ledger_is_refused_and_kept(tmp_path: Path, bytes_: bytes) -> None:
    """It is named, and not a byte of it changes."""
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(bytes_)
    with pytest.raises(StoreCorrupt) as caught:
        Ledger.open(path)
    assert caught.value.where == str(path)
    assert path.read_bytes() == bytes_


def test_somebody_elses_database_is_refused_and_kept(where: Any) -> None:
    """A file with other tables does not get ours."""
    engine = opening.connected(opening.place_of(where), busy_timeout_s=5)
    with engine.connect().execution_options(headway_writes=True) as connection, connection.begin():
        connection.execute(sa.text("CREATE TABLE customers (id INTEGER)"))
    with pytest.raises(StoreError, match="holds customers, and no ledger"):
        Ledger.open(where)
    assert sa.inspect(engine).get_table_names() == ["customers"]
    engine.dispose()


def test_a_damaged_file_is_found(tmp_path: Path) -> None:
    """Pages overwritten by something else are corruption, said as such by reading and by verifying."""
    path = tmp_path / "ledger.sqlite"
    with Ledger.open(path) as ledger:
        ledger.append_many([BriefSeen(brief=str(number), text="x" * 300) for number in range(400)], now_us=1)
    data = bytearray(path.read_bytes())
    for at in range(40 * 4096, len(data), 4096):
        data[at : at + 64] = b"\xa5" * 64
    path.write_bytes(data)
    with Ledger.open(path) as ledger:
        with pytest.raises(StoreCorrupt, match="damaged"):
            ledger.verify()
        with pytest.raises(StoreCorrupt, match="damaged"):
            list(ledger.events())


def test_a_folder_in_the_place_of_the_file_is_named(tmp_path: Path) -> None:
    """What cannot be opened at all is an error of the store too."""
    (tmp_path / "ledger.sqlite").mkdir()
    with pytest.raises(StoreError, match="unable to open") as caught:
        Ledger.open(tmp_path / "ledger.sqlite")
    assert caught.value.where == str(tmp_path / "ledger.sqlite")


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path: Path) -> None:
    """The folder of the store cannot be made there."""
    (tmp_path / "store").write_text("in the way")
    with pytest.raises(StoreError, match="folder cannot be written to: Not a directory"):
        Ledger.open(tmp_path / "store" / "ledger.sqlite")


@pytest.mark.parametrize(
    ("url", "message"),
    [("mysql://me:secret@db/x", "cannot be kept in 'mysql'"), ("http://", "cannot be"), ("://", "cannot be read")],
)
def test_a_url_that_leads_to_no_ledger_is_refused_without_its_password(url: str, message: str) -> None:
    """Nothing secret is repeated."""
    with pytest.raises(StoreError, match=message) as caught:
        Ledger.open(url)
    assert "secret" not in str(caught.value)


def test_a_server_that_does_not_answer_is_named_without_its_password() -> None:
    """The message has the host, not the secret."""
    pytest.importorskip("psycopg")
    with pytest.raises(StoreError) as caught:
        Ledger.open("postgresql://me:secret@127.0.0.1:1/headway")
    assert "127.0.0.1:1/headway" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_url_of_a_file_is_the_file(tmp_path: Path) -> None:
    """Either way of writing it opens the same store."""
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.sqlite") as ledger:
        assert ledger.where == str(tmp_path / "ledger.sqlite")
        ledger.append(BriefSeen(brief="b", text="t"), now_us=1)
    with Ledger.open(tmp_path / "ledger.sqlite", create=False) as ledger:
        assert ledger.brief_text("b") == "t"


@pytest.mark.parametrize("begun", [False, True])
def test_a_store_whose_creation_was_killed_is_created_by_the_next(tmp_path: Path, begun: bool) -> None:  # noqa: FBT001
    """What a kill can leave is an empty file, or one with a header and no table yet: neither is in the way."""
    path = tmp_path / "ledger.sqlite"
    path.touch()
    if begun:
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.close()
        assert path.stat().st_size > 0
    with pytest.raises(NotFound):
        Ledger.open(path, create=False)
    with Ledger.open(path) as ledger:
        assert ledger.append(BriefSeen(brief="b", text="t"), now_us=1) == 1


def test_acknowledged_events_are_synced_to_the_disk(ledger: Ledger) -> None:
    """A write-ahead log, synced at every commit: 2 is FULL."""
    with ledger._engine.connect() as connection:
        settings = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")]
    assert settings == ["wal", 2]


# What came after that file was written.
LATER_KINDS = {
    "ErasureBegun",
    "ErasureFinished",
    "ContractBroken",
    "GateJudged",
    "HoldPlaced",
    "HoldReleased",
    "SnapshotsCollected",
}


def test_a_store_of_the_first_schema_is_still_read_and_replayed(tmp_path: Path, dump: Callable[..., Any]) -> None:
    """A file written once, and kept: it opens, its chain holds, and its events make the tables that it has."""
    shutil.copytree(OLD, tmp_path / "old")
    with Ledger.open(tmp_path / "old" / "schema-0001.sqlite", create=False) as ledger:
        kept = Head(seq=24, hash=(OLD / "schema-0001.head").read_text().strip())
        assert ledger.verify(kept) == kept
        before = dump(ledger)
        assert {entry.event.__class__.__name__ for entry in ledger.events()} == set(KINDS) - LATER_KINDS
        assert ledger.rebuild(FolderBlobs(tmp_path / "old" / "blobs").read) == 24
        assert dump(ledger) == before
        champion = ledger.champion()
        assert champion is not None
        assert champion.release == "r1"
        assert ledger.outcomes()["label"].to_pylist() == [0.0, None]
        assert ledger.trials("study")[0].scores == {"average_precision": 0.31}
        assert ledger.run("run-1").state == "finished"
    connection = sqlite3.connect(tmp_path / "old" / "schema-0001.sqlite")
    assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == (opening.SCHEMA,)
    connection.close()
