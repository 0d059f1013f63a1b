"""Which engine a brief names: this machine's own, or a cluster."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headway.engine.cluster import Cluster

__all__ = ["cluster_of"]


@lru_cache(maxsize=1)
def cluster_of(engine: str) -> Cluster | None:
    """Return the cluster that ``engine`` names, joined once a process; None for this machine's own DuckDB.

    Parameters
    ----------
    engine
        ``local``; ``ray`` for a cluster of this machine's processes; ``ray://host:port`` for one that runs.

    Raises
    ------
    MissingExtra
        When its package is not installed.
    ClusterUnreachable
        When there is no cluster at the address.
    """
    if engine == "local":
        return None
    from headway.engine.ray_cluster import RayCluster  # an extra, and slow to load

    return RayCluster(engine.removeprefix("ray").removeprefix("://"))
