"""How a ledger is reached: the database behind a path or a URL, in the schema of this version.

The schema's version stands in the store. Where it is this code's own, opening costs one look; a new store is made
as ``tables.py`` has it; an earlier one is migrated, for which alone Alembic is imported; a later one is refused.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from filelock import FileLock, Timeout

from headway import __version__
from headway.errors import NO_ROOM, MissingExtra, NotFound, StoreBusy, StoreError, StoreFull, StoreTooNew
from headway.ledger.failures import speaking
from headway.ledger.tables import metadata

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["SCHEMA", "Place", "connected", "place_of", "prepared"]

SCHEMA = "0004"
"""The newest file in ``migrations/versions``."""

_MIGRATIONS = Path(__file__).parent / "migrations"
# Alembic's own table, as it would make it: which migrations a store is past.
_VERSION = sa.Table(
    "alembic_version",
    sa.MetaData(),
    sa.Column("version_num", sa.String(32), nullable=False),
    sa.PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
_CREATING_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a ledger is; ``path`` is ``None`` where it is no file."""

    url: sa.URL
    path: Path | None = None

    @property
    def shown(self) -> str:
        """What messages call it: never with a password."""
        return str(self.path) if self.path is not None else self.url.render_as_string(hide_password=True)

    @property
    def leases(self) -> Path:
        """The folder of the locks on a ledger that is a file."""
        if self.path is None:
            raise ValueError("The locks on a PostgreSQL ledger are its sessions'.")
        return self.path.parent / "leases"


def place_of(where: str | os.PathLike[str]) -> Place:
    """Return the place that a path or a URL (``sqlite:///…``, ``postgresql://…``) names.

    Examples
    --------
    >>> place_of("postgresql://me:secret@db.example/headway").shown
    'postgresql+psycopg://me:***@db.example/headway'
    """
    text = os.fspath(where)
    if "://" not in text:
        path = Path(text).absolute()
        return Place(url=sa.URL.create("sqlite", database=str(path)), path=path)
    try:
        url = sa.make_url(text)
    except sa.exc.ArgumentError:
        raise StoreError("The ledger's URL cannot be read.", hint="Write 'postgresql://user@host/database'.") from None
    backend = url.get_backend_name()
    if backend == "sqlite" and url.database:
        return place_of(Path(url.database))
    if backend != "postgresql":
        raise StoreError(
            f"A ledger cannot be kept in {backend!r}.", hint="Give a file, or a URL that begins with postgresql://."
        )
    return Place(url=url.set(drivername="postgresql+psycopg"))


def connected(place: Place, *, busy_timeout_s: float) -> sa.Engine:
    """Return the engine for ``place``, whose transactions take the single writer's lock where they ask to."""
    if place.path is None:
        try:
            engine = sa.create_engine(
                place.url,
                pool_pre_ping=True,
                connect_args={"options": f"-c lock_timeout={int(busy_timeout_s * 1000)}"},
            )
        except ModuleNotFoundError as error:
            raise MissingExtra.of("psycopg", extra="postgres") from error
        return engine
    engine = sa.create_engine(place.url, connect_args={"timeout": busy_timeout_s})
    sa.event.listen(engine, "connect", _set_up_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def prepared(place: Place, engine: sa.Engine, *, create: bool) -> None:
    """Bring the store to this version's schema.

    Raises
    ------
    NotFound
        When there is none and ``create`` is false.
    StoreTooNew
        When a later version of Headway wrote it.
    StoreError
        When the database belongs to something else.
    """
    new = place.path is not None and (not place.path.exists() or place.path.stat().st_size == 0)
    if new and not create:
        raise NotFound("There is no ledger.", where=place.shown, hint="Begin one with 'headway run'.")
    with speaking(place.shown):
        if not new and _is_current(engine, place):
            return
        if place.path is None:
            _create_or_migrate(engine, place, create=create, lock=_lock_postgresql)
            return
        # Turning a new file to WAL cannot wait for a lock, so two that create it at once queue here.
        with _alone(place):
            _create_or_migrate(engine, place, create=create, lock=None)
        _sync_folder(place.path.parent)


@contextlib.contextmanager
def _alone(place: Place) -> Iterator[None]:
    lock = FileLock(place.leases / "schema.lock", timeout=_CREATING_TIMEOUT_S)
    try:
        place.leases.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise StoreBusy("Another process is preparing the ledger.", where=place.shown, hint="Try again.") from None
    except OSError as error:
        found = StoreFull if error.errno in NO_ROOM else StoreError
        raise found(f"The ledger's folder cannot be written to: {error.strerror}.", where=place.shown) from error
    try:
        yield
    finally:
        lock.release()


def _stored_schema(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table(_VERSION.name):
        return None
    stored = connection.scalar(sa.select(_VERSION.c.version_num))
    return None if stored is None else str(stored)


def _is_current(engine: sa.Engine, place: Place) -> bool:
    with engine.connect() as connection:
        stored = _stored_schema(connection)
    if stored is not None and stored > SCHEMA:
        raise StoreTooNew(
            f"The store has schema {stored}; Headway {__version__} knows schemas up to {SCHEMA}.",
            where=place.shown,
            hint="Upgrade Headway: pip install --upgrade headway",
        )
    return stored == SCHEMA


def _create_or_migrate(
    engine: sa.Engine, place: Place, *, create: bool, lock: Callable[[sa.Connection], None] | None
) -> None:
    if _is_current(engine, place):  # somebody else was faster
        return
    with engine.connect().execution_options(headway_writes=True) as connection, connection.begin():
        if lock is not None:
            lock(connection)
        stored = _stored_schema(connection)
        if stored == SCHEMA:
            return
        if stored is not None:
            _migrate(connection)
            return
        if tables := sa.inspect(connection).get_table_names():
            raise StoreError(
                f"The database holds {', '.join(sorted(tables)[:5])}, and no ledger.",
                where=place.shown,
                hint="Name a database, or a file, of its own for the ledger.",
            )
        if not create:
            raise NotFound("There is no ledger.", where=place.shown, hint="Begin one with 'headway run'.")
        metadata.create_all(connection, checkfirst=False)
        _VERSION.create(connection)
        connection.execute(sa.insert(_VERSION).values(version_num=SCHEMA))


def _migrate(connection: sa.Connection) -> None:
    import alembic.command
    import alembic.config

    config = alembic.config.Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    alembic.command.upgrade(config, "head")


def _lock_postgresql(connection: sa.Connection) -> None:
    connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('headway ledger ' || current_schema()))"))


def _set_up_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # the driver begins nothing by itself; _begin_sqlite does
    cursor = connection.cursor()
    try:
        cursor.execute("PRAGMA journal_mode = WAL")
        # NORMAL would sync the write-ahead log only at checkpoints: a loss of power could take acknowledged events.
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA fullfsync = ON")  # on macOS a plain fsync does not reach the platter
        cursor.execute("PRAGMA checkpoint_fullfsync = ON")
    finally:
        cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    # IMMEDIATE takes the writer's lock at once: a transaction that first reads the head and only then writes would
    # be refused halfway if another wrote in between.
    writes = connection.get_execution_options().get("headway_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows opens no folders; its file system journals the names
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
