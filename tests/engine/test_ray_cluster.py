"""Ray keeps the contract of a cluster, on several worker processes of this machine; one cluster serves all tests."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from headway.engine.named import cluster_of
from headway.engine.ray_cluster import RayCluster
from headway.errors import ClusterUnreachable
from headway.testing.clusters import ClusterContract

if "deliveries" not in sys.modules:  # tests are no package; whoever comes first loads it for all
    _spec = importlib.util.spec_from_file_location("deliveries", Path(__file__).parent.parent / "deliveries.py")
    _module = importlib.util.module_from_spec(_spec)
    sys.modules["deliveries"] = _module
    _spec.loader.exec_module(_module)

import deliveries

# Looked for, not imported: how a cluster of this machine listens is settled by what Ray reads when it is.
if importlib.util.find_spec("ray") is None:
    pytest.skip("the package ray is not installed (pip install 'headway[ray]')", allow_module_level=True)

_RAYS_OWN = ("ray::IDLE", "ray::_", "ray::DashboardAgent", "ray::RuntimeEnvAgent")


@pytest.fixture(scope="module")
def ray_cluster():
    """Return a cluster of two worker processes, over more parts than that."""
    cluster = RayCluster(workers=2, parts=3)
    yield cluster
    cluster.close()


def _below(process: int) -> list[int]:
    """Return the processes that a process has started, and those that these have."""
    children = [
        int(child) for task in Path(f"/proc/{process}/task").glob("*/children") for child in task.read_text().split()
    ]
    return [*children, *(further for child in children for further in _below(child))]


def _working() -> list[int]:
    """Return the worker processes, of the cluster that this process has started, that do something now."""
    found = []
    for process in _below(os.getpid()):
        try:
            title = Path(f"/proc/{process}/cmdline").read_bytes().partition(b"\0")[0].decode()
        except OSError:
            continue
        if title.startswith("ray::") and not title.startswith(_RAYS_OWN):
            found.append(process)
    return found


class TestRayCluster(ClusterContract):
    """The suite, with workers that are really killed."""

    @pytest.fixture
    def cluster(self, ray_cluster):
        """Return the cluster that all tests share."""
        return ray_cluster

    def kill_a_worker(self) -> bool:
        """Kill -9 a process that works at this moment."""
        for process in _working():
            os.kill(process, signal.SIGKILL)
            return True
        return False


def test_a_cluster_of_this_machine_listens_on_loopback_alone(ray_cluster) -> None:
    """Whoever is on the same network sees nothing of it."""
    assert ray_cluster
    own = {socket for process in [os.getpid(), *_below(os.getpid())] for socket in _sockets(process)}
    heard = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in own:  # it listens
                heard.append(fields[1].partition(":")[0])
    loopback = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}
    assert len(heard) > 3
    assert set(heard) <= loopback


def _sockets(process: int) -> list[str]:
    """Return the numbers of the sockets that a process holds."""
    found = []
    for link in Path(f"/proc/{process}/fd").glob("*"):
        with contextlib.suppress(OSError):
            found.append(str(link.readlink()))
    return [name.removeprefix("socket:[").rstrip("]") for name in found if name.startswith("socket:[")]


def test_a_run_by_ray_is_the_run_that_is_made_here(ray_cluster, tmp_path) -> None:
    """A whole project: the same run, dataset and model, and nothing to do where the engine alone is another."""
    assert ray_cluster
    here, there = deliveries.begun(tmp_path / "here"), deliveries.begun(tmp_path / "there")
    plain = here.run()
    brief = tmp_path / "there" / "headway.toml"
    written = brief.read_text()
    brief.write_text(f'engine = "ray"\n{written}')
    by_ray = there.run()
    assert not by_ray.unchanged
    assert (by_ray.run, by_ray.dataset, by_ray.model) == (plain.run, plain.dataset, plain.model)
    brief.write_text(written)
    assert there.run().unchanged


def test_a_cluster_that_does_not_answer_is_said_at_once() -> None:
    """Ray itself would try for minutes."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(ClusterUnreachable, match=f"Nobody answers at '127.0.0.1:{port}'") as caught:
        cluster_of(f"ray://127.0.0.1:{port}")
    assert caught.value.where == "engine"


def test_without_the_extra_the_error_names_the_install() -> None:
    """Asked for where Ray is not installed, the engine says what to type."""
    code = """
        import sys
        sys.modules["ray"] = None
        from headway.engine.named import cluster_of
        from headway.errors import MissingExtra
        try:
            cluster_of("ray")
        except MissingExtra as error:
            print(error)
    """
    ran = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, capture_output=True, text=True)
    assert ran.stdout.strip() == "This needs the package 'ray'. Install it with: pip install 'headway[ray]'"
