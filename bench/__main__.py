"""``python -m bench [NAME ...] [--all] [--json]``: run the benches by name, or all, and print what they found.

Without a name the quick ones run, with ``--all`` those that take minutes, too. Ends with 1 when a bound is broken or a
bench fails, with 2 when a name is unknown.
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import json
import sys
import traceback
from typing import TYPE_CHECKING

from bench import NotBuilt, Ratio
from bench.changes import plants
from bench.contracts import contract
from bench.curve import curve
from bench.demonstration import demonstration
from bench.leaks import leaks
from bench.prediction import prediction
from bench.preparation import preparation
from bench.reference import reference
from bench.runs import overhead, overhead_of_a_whole_budget, unchanged
from bench.snapshots import snapshots, snapshots_of_a_large_table
from bench.start import help_screen
from bench.trace import trace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["BENCHES", "LONG", "main"]

# One line a bench; a bench returns one row of the table, or several.
BENCHES: dict[str, Callable[[], Ratio | Sequence[Ratio]]] = {
    "help": help_screen,
    "preparation": preparation,
    "snapshots": snapshots,
    "run": overhead,
    "unchanged": unchanged,
    "prediction": prediction,
    "contract": contract,
    "reference": reference,
    "budget": overhead_of_a_whole_budget,
    "large": snapshots_of_a_large_table,
    "trace": trace,
    "curve": curve,
    "plants": plants,
    "leaks": leaks,
    "demo": demonstration,
}

LONG = frozenset({"budget", "curve", "demo", "large", "leaks", "plants", "trace"})
"""Those that take minutes."""

_HEADS = ("name", "figure", "limit", "ratio", "bound", "ok", "note")
_NUMERIC = {"figure", "limit", "ratio", "bound"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is named, print it, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Figures beside their limits.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of: {', '.join(BENCHES)}; none: the quick ones")
    parser.add_argument("--all", action="store_true", help="those that take minutes, too")
    parser.add_argument("--json", action="store_true", help="one JSON list instead of a table")
    options = parser.parse_args(arguments)
    for name in options.names:
        if name not in BENCHES:
            near = difflib.get_close_matches(name, BENCHES, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(BENCHES)}"
            parser.error(f"there is no bench {name!r}; {hint}")
    wanted = options.names or [name for name in BENCHES if options.all or name not in LONG]
    rows: list[Ratio] = []
    failed = False
    for name in wanted:
        print(f"{name} ...", file=sys.stderr, flush=True)
        try:
            rows.extend(_rows_of(name))
        except Exception as error:  # noqa: BLE001  (the figures of the others took minutes; they are shown)
            traceback.print_exc()
            failed = True
            rows.append(Ratio(name=name, figure=None, note=f"failed: {type(error).__name__}: {error}"))
    print(json.dumps([_as_dict(row) for row in rows], indent=2) if options.json else _table(rows))
    left = [name for name in BENCHES if name not in wanted]
    if left and not options.names and not options.json:
        print(f"Not run, since they take minutes: {', '.join(left)}. Run them with --all.", file=sys.stderr)
    return int(failed or any(row.ok is False for row in rows))


def _rows_of(name: str) -> Sequence[Ratio]:
    try:
        result = BENCHES[name]()
    except NotBuilt as missing:
        return [Ratio(name=name, figure=None, note=f"not built yet: {missing}")]
    return [result] if isinstance(result, Ratio) else result


def _as_dict(row: Ratio) -> dict[str, object]:
    return {**dataclasses.asdict(row), "ok": row.ok}


def _table(rows: Sequence[Ratio]) -> str:
    cells = [_HEADS, *(_cells(row) for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(_HEADS))]
    return "\n".join(_line(line, widths) for line in cells)


def _line(line: Sequence[str], widths: Sequence[int]) -> str:
    sided = (
        cell.rjust(w) if head in _NUMERIC else cell.ljust(w) for cell, w, head in zip(line, widths, _HEADS, strict=True)
    )
    return "  ".join(sided).rstrip()


def _cells(row: Ratio) -> tuple[str, ...]:
    def value(number: float | None) -> str:
        return "-" if number is None else f"{number:.4g} {row.unit}".rstrip()

    def times(number: float | None) -> str:
        return "-" if number is None else f"{number:.2f}x"

    verdict = {None: "-", True: "yes", False: "NO"}[row.ok]
    return (row.name, value(row.figure), value(row.limit), times(row.ratio), times(row.bound), verdict, row.note)


if __name__ == "__main__":
    sys.exit(main())
