"""The questions that a ledger answers in one look, each by an index; readers never wait for the writer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import sqlalchemy as sa

from headway.errors import NotFound, did_you_mean
from headway.ledger import tables
from headway.ledger.failures import speaking

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from headway.ledger.opening import Place

__all__ = [
    "Finding",
    "Materialisation",
    "Release",
    "RoleSpan",
    "Run",
    "Snapshot",
    "Trial",
    "Views",
    "Window",
]

_ASKED_AT_ONCE = 900
"""Parameters in one query: SQLite before 3.32 takes 999."""

T = TypeVar("T", bound=msgspec.Struct)


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One experiment; ``state`` is running, finished or failed. A killed one says running until it is resumed."""

    run: str
    state: str
    brief: str
    as_of_us: int
    seed: int
    environment: dict[str, Any]
    started_us: int
    ended_us: int | None
    dataset: str | None
    model: str | None
    verdict: str | None
    winner_reason: str | None
    seconds: float | None
    fit_seconds: float | None
    resumed_steps: int | None
    error: str | None


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One candidate of a search."""

    study: str
    number: int
    algorithm: str
    settings: dict[str, Any]
    scores: dict[str, float]
    seconds: float
    latency_us: float
    complexity: float
    size_bytes: int
    note: str
    finished_us: int


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """A packaged model; ``role`` is the one it has now, ``None`` when it serves nobody."""

    release: str
    model: str
    run: str
    brief: str
    dataset: str
    by: str
    made_us: int
    role: str | None


class RoleSpan(msgspec.Struct, frozen=True, kw_only=True):
    """A release in a role, in ``[from_us, until_us)``; who put it there, and why."""

    release: str
    role: str
    from_us: int
    until_us: int | None
    by: str
    why: str


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something that monitoring saw; open until ``cleared_us`` is set. ``alerted`` says who was told, if anyone."""

    finding: str
    kind: str
    signal: str
    subject: str
    level: str
    since_us: int
    at_us: int
    message: str
    todo: str
    evidence: dict[str, Any]
    first_us: int
    cleared_us: int | None
    alerted: str


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """The summary of one release's traffic of one local day."""

    window: str
    release: str
    summary: dict[str, Any]
    closed_us: int


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A source as it was read once."""

    source: str
    snapshot: str
    rows: int
    files: int
    added_rows: int
    taken_us: int


class Materialisation(msgspec.Struct, frozen=True, kw_only=True):
    """One filling of the serving path's feature store."""

    store: str
    as_of_us: int
    rows: int
    made_us: int


class Views:
    """The reading side of a ledger."""

    def __init__(self, engine: sa.Engine, place: Place) -> None:
        self._engine = engine
        self._place = place

    def step(self, key: str) -> dict[str, Any] | None:
        """Return what the step with this content key put out, or ``None`` when none has it."""
        with speaking(self._place.shown), self._engine.connect() as connection:
            return connection.scalar(sa.select(tables.steps.c.output).where(tables.steps.c.key == key))

    def brief_text(self, brief: str) -> str:
        """Return the digest of the file that the brief was written in."""
        return str(self._only(tables.briefs, "brief", brief)["text"])

    def runs(self, *, newest: int | None = None) -> list[Run]:
        """Return the runs, the newest first; all, or the ``newest``."""
        return self._many(Run, sa.select(tables.runs).order_by(tables.runs.c.seq.desc()).limit(newest))

    def run(self, run: str) -> Run:
        """Return one run.

        Raises
        ------
        NotFound
            When there is none of that name; says which one was perhaps meant.
        """
        return _as(Run, self._only(tables.runs, "run", run))

    def run_of(self, model: str) -> Run:
        """Return the newest run that ended in ``model``."""
        table = tables.runs
        found = self._many(Run, sa.select(table).where(table.c.model == model).order_by(table.c.seq.desc()).limit(1))
        if not found:
            raise NotFound(f"No run made the model {model!r}.", where=self._place.shown)
        return found[0]

    def trials(self, study: str) -> list[Trial]:
        """Return the trials of a study by number: what a resumed search is rebuilt from."""
        table = tables.trials
        return self._many(Trial, sa.select(table).where(table.c.study == study).order_by(table.c.number))

    def releases(self) -> list[Release]:
        """Return every release, the newest first."""
        return self._many(Release, _RELEASES.order_by(tables.releases.c.seq.desc()))

    def release(self, release: str) -> Release:
        """Return one release.

        Raises
        ------
        NotFound
            When there is none of that name.
        """
        found = self._many(Release, _RELEASES.where(tables.releases.c.release == release))
        return found[0] if found else _as(Release, self._only(tables.releases, "release", release))

    def in_role(self, role: str = "champion") -> list[Release]:
        """Return the releases that have ``role`` now; of champions at most one."""
        return self._many(Release, _RELEASES.where(_OPEN.c.role == role).order_by(tables.releases.c.seq.desc()))

    def champion(self) -> Release | None:
        """Return the release that answers now, if any."""
        return next(iter(self.in_role("champion")), None)

    def role_history(self) -> list[RoleSpan]:
        """Return who served in which role, from when to when, in order."""
        return self._many(RoleSpan, sa.select(tables.roles).order_by(tables.roles.c.seq))

    def live_at(self, moment_us: int, *, role: str = "champion") -> str | None:
        """Return the release that had ``role`` at a moment; the one activated last, where several had it."""
        span = tables.roles
        live = (
            sa.select(span.c.release)
            .where(span.c.role == role, span.c.from_us <= moment_us)
            .where(sa.or_(span.c.until_us.is_(None), span.c.until_us > moment_us))
            .order_by(span.c.seq.desc())
        )
        with speaking(self._place.shown), self._engine.connect() as connection:
            return connection.scalar(live.limit(1))

    def findings(self, *, open_only: bool = False) -> list[Finding]:
        """Return the findings in the order of their first raising."""
        query = sa.select(tables.findings).order_by(tables.findings.c.seq)
        return self._many(Finding, query.where(tables.findings.c.cleared_us.is_(None)) if open_only else query)

    def windows(self, *, release: str | None = None) -> list[Window]:
        """Return the closed windows, by day and release."""
        table = tables.windows
        query = sa.select(table).order_by(table.c.window, table.c.release)
        return self._many(Window, query if release is None else query.where(table.c.release == release))

    def snapshots(self, *, source: str | None = None) -> list[Snapshot]:
        """Return the snapshots in the order in which they were taken."""
        table = tables.snapshots
        query = sa.select(table).order_by(table.c.seq)
        return self._many(Snapshot, query if source is None else query.where(table.c.source == source))

    def materialisation(self) -> Materialisation | None:
        """Return the newest filling of the serving path's feature store."""
        newest = sa.select(tables.materialisations).order_by(tables.materialisations.c.seq.desc()).limit(1)
        return next(iter(self._many(Materialisation, newest)), None)

    def outcomes(self, *, since: int = 0, known_by_us: int | None = None) -> pa.Table:
        """Return what stands, a row each.

        The columns: ``prediction``, ``label`` (null: void), ``known_us``, ``status``, ``received_us``, ``seq``, and
        ``category``, the class that came by name, where the target is one.

        Parameters
        ----------
        since
            Only what events after this one brought: what is new since a head that was remembered.
        known_by_us
            What stood for each prediction by what was known at this moment, instead of what stands now.
        """
        from headway.ledger.arrow import OUTCOMES, table_of

        if known_by_us is None:
            table: sa.FromClause = tables.outcomes
        else:
            told = tables.outcome_history
            last = (told.c.known_us.desc(), told.c.seq.desc(), told.c.place.desc())
            rank = sa.func.row_number().over(partition_by=told.c.prediction, order_by=last)
            plain = sa.case(
                (told.c.label.is_(None), "void"),
                (told.c.status.in_(("stale", "confirmed")), "final"),
                else_=told.c.status,
            )
            columns = (told.c[name] for name in _OUTCOMES if name != "status")
            ranked = (
                sa.select(*columns, plain.label("status"), rank.label("rank"))
                .where(told.c.known_us <= known_by_us)
                .subquery()
            )
            table = sa.select(ranked).where(ranked.c.rank == 1).subquery()
        columns_asked = (table.c[name] for name in _OUTCOMES)
        query = sa.select(*columns_asked).where(table.c.seq > since).order_by(table.c.prediction)
        return table_of(self._rows(query), OUTCOMES)

    def outcomes_of(self, predictions: Sequence[str]) -> pa.Table:
        """Return what stands for these predictions, in the columns of :meth:`outcomes`; unknown ones have no row."""
        from headway.ledger.arrow import OUTCOMES, table_of

        table = tables.outcomes
        asked = sa.select(*(table.c[name] for name in _OUTCOMES))
        rows = [
            row
            for first in range(0, len(predictions), _ASKED_AT_ONCE)
            for row in self._rows(asked.where(table.c.prediction.in_(predictions[first : first + _ASKED_AT_ONCE])))
        ]
        return table_of(rows, OUTCOMES)

    def table(self, name: str) -> pa.Table:
        """Return a whole projection, such as ``"runs"`` or ``"trials"``; mappings come as JSON text.

        The rows stand in the order of the events that brought them, the newest last; where a projection does not
        keep that order, by its key.

        Raises
        ------
        NotFound
            When there is none of that name.
        """
        from headway.ledger.arrow import schema_of, table_of

        known = {table.name: table for table in tables.projections}
        if name not in known:
            raise NotFound(f"The ledger has no table {name!r}.", hint=did_you_mean(name, known))
        columns = list(known[name].columns)
        order = [column for column in columns if column.name == "seq"]
        order += [column for column in known[name].primary_key if column.name != "seq"]
        query = sa.select(*(sa.type_coerce(column, _plain(column)).label(column.name) for column in columns))
        schema = schema_of((column.name, _plain(column)) for column in columns)
        return table_of(self._rows(query.order_by(*order)), schema)

    def _many(self, kind: type[T], query: sa.Select[Any]) -> list[T]:
        with speaking(self._place.shown), self._engine.connect() as connection:
            return [_as(kind, row) for row in connection.execute(query).mappings()]

    def _only(self, table: sa.Table, column: str, value: str) -> sa.RowMapping:
        with speaking(self._place.shown), self._engine.connect() as connection:
            row = connection.execute(sa.select(table).where(table.c[column] == value)).mappings().first()
            if row is not None:
                return row
            known = connection.scalars(sa.select(table.c[column])).all()
        raise NotFound(
            f"The ledger knows no {column} {value!r}.", where=self._place.shown, hint=did_you_mean(value, known)
        )

    def _rows(self, query: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        with speaking(self._place.shown), self._engine.connect() as connection:
            return connection.execute(query).fetchall()


_OUTCOMES = ("prediction", "label", "known_us", "status", "received_us", "seq", "category")

_OPEN = sa.select(tables.roles).where(tables.roles.c.until_us.is_(None)).subquery()
_RELEASES = sa.select(tables.releases, _OPEN.c.role).select_from(
    tables.releases.outerjoin(_OPEN, tables.releases.c.release == _OPEN.c.release)
)


def _as(kind: type[T], row: sa.RowMapping) -> T:
    return kind(**{name: row[name] for name in kind.__struct_fields__})


def _plain(column: sa.Column[Any]) -> sa.types.TypeEngine[Any]:
    return sa.Text() if isinstance(column.type, tables.Json) else column.type
