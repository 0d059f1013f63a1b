"""How long a trace takes where the log holds a million answers, against the same project with ten thousand."""

# ruff: noqa: A005  (the package is never on the path by itself, so that nothing is shadowed)
from __future__ import annotations

import importlib.util
import random
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import NotBuilt, Ratio, by_turns

if TYPE_CHECKING:
    from headway.api import Project

__all__ = ["trace"]

_BOUND = 2.0
_FEW, _MANY = 10_000, 1_000_000
_TOLD_AT_ONCE = 50_000
_TRACED = 20
_KNOWN_AT = "2024-03-26T00:00:00Z"
_DELIVERIES = Path(__file__).parent.parent / "tests" / "deliveries.py"


def trace(*, few: int = _FEW, many: int = _MANY, traced: int = _TRACED, repeats: int = 5) -> Ratio:
    """Return the time of tracing answers from all over a log of ``many`` over those of a log of ``few``.

    Both are the small business of the tests after its days in service; each answer's outcome is in the ledger. Its
    sources are small, so that looking the answer up is not hidden behind the replay of its features.
    """
    from headway.api import Project

    with tempfile.TemporaryDirectory(prefix="headway-bench-") as name:
        short, long = Path(name) / "few", Path(name) / "many"
        short.mkdir()
        clock = _lived(short)
        shutil.copytree(short, long)
        with Project.open(short, clock=clock) as one, Project.open(long, clock=clock) as other:
            known, more = _fill(one, few, some=traced), _fill(other, many, some=traced)
            _traced(one, known)
            _traced(other, more)
            least, most = by_turns(lambda: _traced(one, known), lambda: _traced(other, more), repeats=repeats)
            size_bytes = sum(path.stat().st_size for path in other.store.predictions.iterdir())
    return Ratio(
        name="trace",
        figure=most / traced * 1e3,
        limit=least / traced * 1e3,
        ratio=most / least,
        bound=_BOUND,
        unit="ms",
        note=f"{many:,} answers with outcomes ({size_bytes / 1e6:,.0f} MB of log) against {few:,}; "
        f"{traced} answers from all over each",
    )


def _lived(folder: Path) -> Any:
    """Let the business live in ``folder``, and return its clock."""
    if not _DELIVERIES.is_file():
        raise NotBuilt("tests/deliveries.py")
    spec = importlib.util.spec_from_file_location("bench.deliveries", _DELIVERIES)
    assert spec is not None
    assert spec.loader is not None
    deliveries = sys.modules["bench.deliveries"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(deliveries)
    lived = deliveries.lived(folder)
    lived.project.close()
    return lived.clock


def _fill(project: Project, rows: int, *, some: int) -> list[str]:
    """Log the answers that are there again until there are ``rows``, all with outcomes, and return ids of some."""
    from headway.predictions.reader import Reader
    from headway.predictions.writer import Writer

    store = project.store
    given = [each for batch in Reader(store.predictions).scan() for each in batch.predictions]
    rng = random.Random(7)  # noqa: S311  (chance picks what is traced)
    drawn: list[str] = []
    waiting: list[str] = []
    logged = len(given)
    with Writer(store.predictions) as writer:
        while logged < rows:
            ids = writer.append_many(given[: rows - logged])
            logged += len(ids)
            drawn += rng.sample(ids, min(len(ids), some))
            waiting += ids
            if len(waiting) >= _TOLD_AT_ONCE or logged >= rows:
                project.outcomes([{"id": each, "label": True, "known_at": _KNOWN_AT} for each in waiting])
                waiting = []
    return rng.sample(drawn, some)


def _traced(project: Project, ids: list[str]) -> None:
    for each in ids:
        found = project.trace(each)
        if found.outcome is None or not found.replayed_equal:
            raise RuntimeError(f"The trace of {each} is not whole.")
