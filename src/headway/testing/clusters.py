"""What a cluster must do, as a suite: an engine's tests inherit it, and give a fixture ``cluster``.

::

    class TestMyCluster(ClusterContract):
        @pytest.fixture(scope="class")
        def cluster(self):
            cluster = MyCluster(workers=3)
            yield cluster
            cluster.close()

        def kill_a_worker(self) -> bool:
            ...

The three verbs are tried by themselves, and then whole preparations: the same definitions over the same files must give
the same bytes on one thread here, on many, and on the cluster.
"""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from headway.blobs import FolderBlobs
from headway.data.across import Across
from headway.data.cleaning import learn
from headway.data.freeze import freeze
from headway.engine.cluster import BY
from headway.errors import DataError
from headway.nouns.brief_text import parse_brief
from headway.query.database import Database
from headway.query.point_in_time import PointInTime
from headway.query.resolver import resolve
from headway.testing.worlds import BRIEFS, KINDS, NOW_US, written

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from headway.engine.cluster import Cluster
    from headway.nouns.dataset import Dataset
    from headway.query.definitions import Definitions

__all__ = ["ClusterContract", "Doubled", "Refusing", "Slow", "Which"]


@dataclass(frozen=True, slots=True)
class Doubled:
    """Work that doubles a column."""

    def __call__(self, tables: Mapping[str, pa.Table]) -> pa.Table:
        """Return the rows with ``n`` doubled."""
        rows = tables["rows"]
        return pa.table({BY: rows[BY], "n": pa.array(rows["n"].to_numpy() * 2, pa.int64())})


@dataclass(frozen=True, slots=True)
class Which:
    """Work that says which keys of each table a part has."""

    def __call__(self, tables: Mapping[str, pa.Table]) -> pa.Table:
        """Return one row a part, if it has any: its keys of both tables, and how many rows."""
        keys = [sorted(set(tables[name][BY].to_pylist())) for name in ("left", "right")]
        lists = pa.list_(pa.int64())
        there = [0] if any(keys) else []
        return pa.table(
            {
                "left": pa.array([keys[0] for _ in there], lists),
                "right": pa.array([keys[1] for _ in there], lists),
                "rows": pa.array([tables["left"].num_rows + tables["right"].num_rows for _ in there], pa.int64()),
                "beside": pa.array([tables["beside"].num_rows for _ in there], pa.int64()),
            }
        )


@dataclass(frozen=True, slots=True)
class Refusing:
    """Work that finds the data at fault wherever there are rows."""

    def __call__(self, tables: Mapping[str, pa.Table]) -> pa.Table:
        """Return nothing of nothing.

        Raises
        ------
        DataError
            Where there are rows.
        """
        if tables["rows"].num_rows:
            raise DataError("No good.", where="sources.asks", hint="Look at it.")
        return tables["rows"]


@dataclass(frozen=True, slots=True)
class Slow:
    """Work that takes its time, so that a worker can be lost meanwhile, and says when it begins."""

    seconds: float
    folder: str

    def __call__(self, tables: Mapping[str, pa.Table]) -> pa.Table:
        """Return the rows, after a while."""
        import os
        from pathlib import Path

        rows = tables["rows"]
        if rows.num_rows:
            Path(self.folder, f"{os.getpid()}-{time.monotonic_ns()}").touch()
            time.sleep(self.seconds)
        return rows


class ClusterContract:
    """The suite; see the module."""

    def kill_a_worker(self) -> bool:
        """Kill, without warning, a process that works at this moment; return whether there was one."""
        raise NotImplementedError

    # -- the verbs

    def test_every_row_is_mapped_once(self, cluster: Cluster) -> None:
        """Whatever the parts, and in whatever order they come back."""
        tables = [_numbers(first, first + 10) for first in range(0, 50, 10)]
        found = cluster.merge(cluster.map(tables, Doubled())).read_all()
        assert sorted(found["n"].to_pylist()) == [2 * number for number in range(50)]

    def test_rows_of_equal_keys_of_all_tables_come_together(self, cluster: Cluster) -> None:
        """And those of different keys are spread; what goes beside is whole in every part."""
        left = cluster.map([_numbers(0, 40), _numbers(40, 80)], Doubled())
        right = cluster.map([_numbers(0, 5), _numbers(60, 65)], Doubled())
        beside = {"beside": pa.table({"x": [1, 2, 3]})}
        parts = cluster.repartition({"left": left, "right": right})
        found = cluster.merge(cluster.map(parts, Which(), beside=beside, kept=True)).read_all().to_pylist()
        for side, keys in (("left", 16), ("right", 2)):
            seen = [key for part in found for key in part[side]]
            assert sorted(seen) == sorted(set(seen))
            assert len(seen) == keys
        assert all(set(part["right"]) <= set(part["left"]) for part in found)
        assert sum(part["rows"] for part in found) == 90
        assert {part["beside"] for part in found} == {3}
        assert len(found) > 1

    def test_what_work_refuses_arrives_as_it_was_raised(self, cluster: Cluster) -> None:
        """The user's mistake is told as it would be here, not as the failure of a machine."""
        said = None
        try:
            cluster.merge(cluster.map([_numbers(0, 3)], Refusing(), kept=True)).read_all()
        except DataError as error:
            said = error.as_dict()
        assert said == DataError("No good.", where="sources.asks", hint="Look at it.").as_dict()

    def test_a_part_whose_worker_is_killed_is_computed_again(self, cluster: Cluster, tmp_path: Path) -> None:
        """Nobody notices but the clock: every row is there, once."""
        begun = tmp_path / "begun"
        begun.mkdir()
        killed: list[bool] = []

        def kill() -> None:
            until = time.monotonic() + 60
            while not list(begun.iterdir()) and time.monotonic() < until:
                time.sleep(0.02)
            killed.append(self.kill_a_worker())

        killer = threading.Thread(target=kill)
        killer.start()
        tables = [_numbers(first, first + 10) for first in range(0, 60, 10)]
        found = cluster.merge(cluster.map(tables, Slow(0.7, str(begun)), kept=True)).read_all()
        killer.join()
        assert killed == [True]
        assert sorted(found["n"].to_pylist()) == list(range(60))
        assert len(list(begun.iterdir())) > len(tables)

    # -- whole preparations

    def test_the_same_brief_gives_the_same_dataset_to_the_byte(self, cluster: Cluster, tmp_path: Path) -> None:
        """On one thread, on several, and on the cluster: rows that are asked about, and entities again and again."""
        files = written(tmp_path)
        for name, text in BRIEFS.items():
            definitions = _definitions(text)
            here = [_frozen(definitions, files, tmp_path, threads=threads) for threads in (1, 4)]
            there = _frozen(definitions, files, tmp_path, cluster=cluster)
            assert here[0].splits[0].examples > 100, name
            assert here[0] == here[1] == there, name

    def test_a_worker_that_is_killed_changes_no_byte(self, cluster: Cluster, tmp_path: Path) -> None:
        """In the middle of preparing; which step it is at is left to chance."""
        files = written(tmp_path)
        definitions = _definitions(BRIEFS["rows"])
        wanted = _frozen(definitions, files, tmp_path)
        done = threading.Event()
        killed: list[bool] = []

        def kill() -> None:
            while not done.is_set() and len(killed) < 3:
                if self.kill_a_worker():
                    killed.append(True)
                    done.wait(0.5)
                else:
                    time.sleep(0.01)

        killer = threading.Thread(target=kill)
        killer.start()
        try:
            found = _frozen(definitions, files, tmp_path, cluster=cluster)
        finally:
            done.set()
            killer.join()
        assert killed
        assert found == wanted

    def test_what_is_wrong_with_the_data_is_said_in_the_same_words(self, cluster: Cluster, tmp_path: Path) -> None:
        """A feature from the future, counted in parts; a value that cannot be computed, found on a worker."""
        files = written(tmp_path)
        for change in (
            ('size = "size"', 'size = "size"\nleak = "bad"'),
            ('size = "size"', 'size = "size"\nlocal = "hour(at, who)"'),
        ):
            definitions = _definitions(BRIEFS["rows"].replace(*change))
            said = [_refused(definitions, files, tmp_path, cluster=each) for each in (None, cluster)]
            assert said[0] == said[1]

    def test_what_cleaning_learns_is_the_same(self, cluster: Cluster, tmp_path: Path) -> None:
        """Bounds, means, medians and modes of groups, each reduced in parts and put together."""
        files, brief = written(tmp_path), parse_brief(BRIEFS["cleaned"])
        with Database(threads=2) as database:
            here = learn(brief, KINDS, files, database=database)
            there = learn(brief, KINDS, files, database=database, cluster=cluster)
        assert len(here) == 4
        assert here == there

    def test_the_last_moment_of_the_data_is_the_same(self, cluster: Cluster, tmp_path: Path) -> None:
        """Of rows, and of what a label over a horizon counts."""
        files = written(tmp_path)
        for name in ("rows", "entities"):
            definitions = _definitions(BRIEFS[name])
            with Database(threads=1) as database:
                here = PointInTime(database, definitions, files).last_moment_us()
                assert Across(cluster, database, definitions, files).last_moment_us() == here > 0


def _numbers(first: int, last: int) -> pa.Table:
    numbers = np.arange(first, last)
    return pa.table({BY: pa.array(numbers // 5, pa.int64()), "n": pa.array(numbers, pa.int64())})


def _definitions(text: str) -> Definitions:
    return resolve(parse_brief(text), KINDS)


def _frozen(
    definitions: Definitions,
    files: Mapping[str, list[Path]],
    folder: Path,
    *,
    threads: int = 2,
    cluster: Cluster | None = None,
) -> Dataset:
    store = FolderBlobs(folder / "blobs")
    dataset = freeze(definitions, {}, files, as_of_us=NOW_US, store=store, threads=threads, cluster=cluster)
    assert pq.read_metadata(store.path(dataset.table)).num_rows == sum(count.examples for count in dataset.splits)
    return dataset


def _refused(
    definitions: Definitions, files: Mapping[str, list[Path]], folder: Path, *, cluster: Cluster | None
) -> tuple[str, str]:
    try:
        _frozen(definitions, files, folder, cluster=cluster)
    except DataError as error:
        # Which of several values is met first is chance, on one machine as on many.
        return re.sub("'[^']*' is not a time zone", "'…' is not a time zone", error.what), error.hint
    raise AssertionError("Nothing was raised.")
