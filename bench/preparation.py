"""From CSV files to a frozen dataset of all 336,776 flights, against the hand-written query over the same files."""

from __future__ import annotations

import tempfile
from pathlib import Path

from bench import NotBuilt, Ratio, by_turns
from bench import reference as by_hand
from bench.flights import lay_out_year

__all__ = ["FLIGHTS", "preparation"]

FLIGHTS = 336_776
_BOUND = 3.0
_END_OF_YEAR_US = 1_388_707_200_000_000  # 3 January 2014, when the last flight of 2013 has landed


def preparation(*, repeats: int = 3) -> list[Ratio]:
    """Return the seconds of the freeze, and of collecting and freezing, over those of the reference's query."""
    try:
        from headway.blobs import FolderBlobs
        from headway.data.collect import collect
        from headway.data.freeze import freeze
        from headway.nouns.brief_text import parse_brief
        from headway.query.resolver import resolve
    except ImportError as missing:
        raise NotBuilt(str(missing)) from None

    con = by_hand.connect()
    with tempfile.TemporaryDirectory(prefix="headway-bench-") as temporary:
        folder = Path(temporary)
        project = lay_out_year(_made(folder / "project"))
        data_dir = by_hand.lay_out(_made(folder / "data"))
        brief = parse_brief((project / "headway.toml").read_text(encoding="utf-8"))
        stores = iter(range(1_000))

        def collected() -> tuple[object, ...]:
            blobs = FolderBlobs(folder / f"blobs-{next(stores)}")
            snapshots = {name: collect(name, s, folder=project, store=blobs) for name, s in brief.sources.items()}
            kinds = {name: {c.name: c.kind for c in snapshot.columns} for name, snapshot in snapshots.items()}
            definitions = resolve(brief, kinds)
            files = {name: [blobs.path(s.blob) for s in snapshot.segments] for name, snapshot in snapshots.items()}
            return definitions, snapshots, files, blobs

        ready = collected()

        def frozen(parts: tuple[object, ...]) -> None:
            definitions, snapshots, files, blobs = parts
            dataset = freeze(
                definitions,
                snapshots,
                files,
                as_of_us=_END_OF_YEAR_US,
                store=blobs,
                threads=2,
            )
            rows = sum(split.examples + split.void + split.embargoed for split in dataset.splits)
            if rows != FLIGHTS:
                raise RuntimeError(f"{rows:,} flights were frozen, wanted {FLIGHTS:,}.")

        def prepared() -> None:
            by_hand.prepare(con, data_dir)

        frozen(ready)
        prepared()
        alone, query = by_turns(lambda: frozen(ready), prepared, repeats=repeats)
        whole, query_again = by_turns(lambda: frozen(collected()), prepared, repeats=repeats)
    con.close()
    return [
        Ratio(
            name="preparation: freeze",
            figure=alone,
            limit=query,
            ratio=alone / query,
            bound=_BOUND,
            note=f"{FLIGHTS:,} flights from snapshots to a frozen table, over reference.sql from CSV to memory",
        ),
        Ratio(
            name="preparation: all",
            figure=whole,
            limit=query_again,
            ratio=whole / query_again,
            bound=_BOUND,
            note="the same with reading the CSV files into snapshots",
        ),
    ]


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
