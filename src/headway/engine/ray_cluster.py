"""The three verbs by Ray Data: its hash shuffle, its tasks over Arrow blocks, its spilling and its retries.

The file hides how tables of different columns go through one shuffle (each row carries which table it is of, and the
columns of all), and what Ray must be told to keep quiet and to itself: no usage reports, no dashboard, and a cluster of
this machine's own listens on loopback alone.
"""

from __future__ import annotations

import atexit
import logging
import os
import socket
import warnings
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from headway.engine.cluster import BY
from headway.errors import ClusterUnreachable, HeadwayError, MissingExtra

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from headway.engine.cluster import Work

__all__ = ["RayCluster"]

_TABLE = "@table"
"""In a shuffle of several tables: which one the row is of, by its place among them."""

# Read by Ray, and by every process that it starts.
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
# On any system: a cluster for this machine alone, on loopback. Ray reads it when it is imported.
_ALONE = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}

# A worker takes seconds to start, and Ray keeps several kinds of them: those that wait for work are not ended.
_OWN = {
    "include_dashboard": False,
    "_system_config": {"idle_worker_killing_time_threshold_ms": 600_000, "num_workers_soft_limit": 64},
}


@dataclass(frozen=True, slots=True)
class _RayRows:
    """Rows as a Ray dataset; after a repartitioning with the columns of several tables, whose schemas are named."""

    dataset: Any
    schema: pa.Schema
    tables: tuple[tuple[str, pa.Schema], ...] = ()


class RayCluster:
    """A Ray cluster: one that runs, by its address, or one of this machine's own processes.

    Parameters
    ----------
    address
        ``host:port`` of a running cluster; empty for one that is started here, and ends with this process.
    workers
        How many processes work side by side, where the cluster is this machine's own; one a processor by default.
    parts
        Into how many parts rows are partitioned; twice the cluster's processors by default. It changes no result.

    Raises
    ------
    MissingExtra
        When Ray is not installed.
    ClusterUnreachable
        When there is no cluster at the address.
    """

    def __init__(self, address: str = "", *, workers: int | None = None, parts: int | None = None) -> None:
        self._ray = _joined(address, workers)
        self._parts = parts or max(2, 2 * int(self._ray.cluster_resources().get("CPU", 1)))

    def repartition(self, rows: Mapping[str, _RayRows]) -> _RayRows:
        """Bring together the rows, of all tables, with the same ``@by``."""
        tables = tuple((name, each.schema) for name, each in rows.items())
        schema = _together(tables)
        tagged = [
            _mapped(each.dataset, partial(_tagged, place=place, schema=schema))
            for place, each in enumerate(rows.values())
        ]
        whole = tagged[0].union(*tagged[1:]) if len(tagged) > 1 else tagged[0]
        return _RayRows(whole.repartition(self._parts, keys=[BY]), schema, tables)

    def map(
        self,
        rows: _RayRows | Sequence[pa.Table],
        work: Work,
        *,
        beside: Mapping[str, pa.Table] | None = None,
        kept: bool = False,
    ) -> _RayRows:
        """Do work over each part, independently of all others."""
        given = rows if isinstance(rows, _RayRows) else _RayRows(self._ray.data.from_arrow(list(rows)), rows[0].schema)
        tables = given.tables or (("rows", given.schema),)
        whole = {name: self._ray.put(table) for name, table in (beside or {}).items()}
        # What work makes of nothing says what columns it makes of something.
        made = work({**{name: schema.empty_table() for name, schema in tables}, **(beside or {})}).schema
        dataset = _mapped(given.dataset, partial(_worked, work=work, tables=given.tables, beside=whole, schema=made))
        return _RayRows(_unwrapped(dataset.materialize) if kept else dataset, made)

    def merge(self, rows: _RayRows) -> pa.RecordBatchReader:
        """Return all rows as one stream, in any order."""

        def batches() -> Iterator[pa.RecordBatch]:
            blocks = iter(rows.dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=1))
            while (block := _unwrapped(partial(next, blocks, None))) is not None:
                yield from block.select(rows.schema.names).cast(rows.schema).to_batches()

        return pa.RecordBatchReader.from_batches(rows.schema, batches())

    def close(self) -> None:
        """Leave the cluster; one that was started here ends."""
        self._ray.shutdown()


def _joined(address: str, workers: int | None) -> Any:
    """Return Ray, connected."""
    os.environ.update(_QUIET if address else {**_QUIET, **_ALONE})
    if address:
        _refuse_silent(address)
    try:
        # Ray speaks of its own renamed settings, and starts processes whose pipes it never closes.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import ray
            import ray.data
    except ImportError:
        raise MissingExtra.of("ray", extra="ray") from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if not ray.is_initialized():
            # 'local': a cluster of its own, even where another one was left behind, or is named by the environment.
            asked: dict[str, Any] = (
                {"address": address} if address else {"address": "local", "num_cpus": workers, **_OWN}
            )
            try:
                ray.init(**asked, log_to_driver=False, logging_level=logging.ERROR, configure_logging=False)
            except (ConnectionError, ValueError, RuntimeError) as error:
                raise ClusterUnreachable(
                    f"The Ray cluster at {address or 'loopback'!r} cannot be joined: {error}",
                    where="engine",
                    hint="This machine must be a node of it: ray start --address HOST:PORT.",
                ) from error
            atexit.register(ray.shutdown)
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.raise_original_map_exception = True  # what the user must mend, not that something failed
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    return ray


def _refuse_silent(address: str) -> None:
    """Raise where nobody listens; Ray would try for minutes."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError as error:
        raise ClusterUnreachable(
            f"Nobody answers at {address!r}: {error.strerror or error}.",
            where="engine",
            hint="Start a cluster with: ray start --head; or write engine = 'ray' for one of this machine's own.",
        ) from None


def _mapped(dataset: Any, work: Any) -> Any:
    """Return a dataset of which each block is mapped whole."""
    return dataset.map_batches(work, batch_format="pyarrow", batch_size=None, zero_copy_batch=True)


def _together(tables: Sequence[tuple[str, pa.Schema]]) -> pa.Schema:
    fields = [pa.field(_TABLE, pa.int8()), pa.field(BY, pa.int64())]
    fields += [
        pa.field(f"{place}.{field.name}", field.type)
        for place, (_, schema) in enumerate(tables)
        for field in schema
        if field.name != BY
    ]
    return pa.schema(fields)


def _tagged(block: pa.Table, *, place: int, schema: pa.Schema) -> pa.Table:
    """Return the rows of one table with the columns of all."""
    own = {BY if name == BY else f"{place}.{name}": block[name] for name in block.column_names}
    own[_TABLE] = pa.repeat(pa.scalar(place, pa.int8()), block.num_rows)
    columns = [own.get(field.name, pa.nulls(block.num_rows, field.type)) for field in schema]
    return pa.table(columns, schema=schema)


def _worked(
    block: pa.Table,
    *,
    work: Work,
    tables: Sequence[tuple[str, pa.Schema]],
    beside: Mapping[str, Any],
    schema: pa.Schema,
) -> pa.Table:
    """Return what work makes of one part; runs on a worker."""
    import ray

    parts = {name: _of_table(block, place, own) for place, (name, own) in enumerate(tables)} or {"rows": block}
    made = work({**parts, **{name: ray.get(reference) for name, reference in beside.items()}})
    return made.cast(schema)


def _of_table(block: pa.Table, place: int, schema: pa.Schema) -> pa.Table:
    mine = block.filter(pc.equal(block[_TABLE], place))
    return pa.table([mine[BY if name == BY else f"{place}.{name}"] for name in schema.names], schema=schema)


def _unwrapped(call: Any) -> Any:
    """Return what a call returns; where a worker failed, raise what it raised, not what Ray made of it."""
    import ray

    try:
        return call()
    except ray.exceptions.RayError as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, HeadwayError):
                raise cause from None
            cause = getattr(cause, "cause", None) or cause.__cause__
        raise
