"""A small world of examples, events and places, written to files and seen through a brief."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headway.nouns.brief_text import parse_brief
from headway.query.database import Database
from headway.query.point_in_time import PointInTime
from headway.query.resolver import resolve

if TYPE_CHECKING:
    from headway.query.definitions import Definitions

ARROW = {
    "bool": pa.bool_(),
    "int": pa.int64(),
    "float": pa.float64(),
    "text": pa.string(),
    "time": pa.timestamp("us"),
}

REST = """
[split]
train_before = 1970-02-01
validate_before = 1970-03-01
test_before = 1970-04-01
[success]
minimum = 0.1
good_enough = 0.9
"""


@dataclass(frozen=True)
class World:
    """Sources as Parquet files in a folder, with their kinds."""

    folder: Path
    kinds: dict[str, dict[str, str]]

    def write(self, name: str, rows: list[dict], *, files: int = 1) -> list[Path]:
        """Write a source's rows over several files, in order, and return them."""
        kinds = self.kinds[name]
        table = pa.table(
            {column: pa.array([row[column] for row in rows], ARROW[kind]) for column, kind in kinds.items()}
        )
        paths, size = [], -(-len(rows) // files) or 1
        for part in range(files):
            path = self.folder / f"{name}-{files}-{part}.parquet"
            pq.write_table(table.slice(part * size, size), path)
            paths.append(path)
        return paths

    def definitions(self, text: str) -> Definitions:
        """Return a brief's definitions over this world; splits and bars are added."""
        return resolve(parse_brief(text + REST), self.kinds)

    def features(self, definitions, files, *, as_of_us: int, threads: int = 1, order: str = "id") -> list[dict]:
        """Return key, features and label of all examples, in the order of ``order``."""
        names = [f"feature:{feature.name}" for feature in definitions.features]
        with Database(threads=threads) as database:
            table = PointInTime(database, definitions, files).examples(as_of_us=as_of_us)
            listed = ", ".join(f'"{name}"' for name in [order, *names, "@label"])
            rows = database.table(f'SELECT {listed} FROM {table} ORDER BY "{order}"').to_pylist()
        return [{name.removeprefix("feature:"): value for name, value in row.items()} for row in rows]


@pytest.fixture
def world_of(tmp_path):
    """Return a maker of worlds: kinds of columns by source."""
    return lambda kinds, folder=tmp_path: World(folder, kinds)


@pytest.fixture(scope="session")
def oracle():
    """Return the oracle beside this file."""
    spec = importlib.util.spec_from_file_location("oracle", Path(__file__).with_name("oracle.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
