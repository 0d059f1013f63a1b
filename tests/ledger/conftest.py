"""What the tests of the ledger share: real files, real processes, and a PostgreSQL where one can be started."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from headway.blobs import FolderBlobs
from headway.ledger import Ledger
from headway.ledger.tables import projections

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def blobs(tmp_path: Path) -> FolderBlobs:
    """Return an empty folder of blobs."""
    return FolderBlobs(tmp_path / "blobs")


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Ledger]:
    """Return what opens a new ledger at a path, without migrating each one from nothing."""
    template = tmp_path_factory.mktemp("template") / "ledger.sqlite"
    Ledger.open(template).close()

    def begin(path: Path) -> Ledger:
        shutil.copyfile(template, path)
        return Ledger.open(path)

    return begin


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Yield a new ledger in a file."""
    with Ledger.open(tmp_path / "ledger.sqlite") as opened:
        yield opened


@pytest.fixture(scope="session")
def dump() -> Callable[[Ledger], dict[str, list[dict[str, Any]]]]:
    """Return what reads every row of every projection."""

    def read(ledger: Ledger) -> dict[str, list[dict[str, Any]]]:
        return {table.name: ledger.table(table.name).to_pylist() for table in projections}

    return read


@pytest.fixture
def spawn() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Return what starts Python on a script, with our packages; whatever still runs at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def start(script: str, *words: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(script), *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[sa.URL]:
    """Yield a PostgreSQL of our own on a free port of this machine; skip where none can be started."""
    pytest.importorskip("psycopg")
    initdb, server = shutil.which("initdb"), shutil.which("postgres")
    if initdb is None or server is None:
        pytest.skip("PostgreSQL's initdb and postgres are not installed")
    as_user: dict[str, Any] = {}
    folder = Path(tempfile.mkdtemp(prefix="headway-postgres-"))
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        try:
            nobody = pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("running as root, and there is no user 'postgres' to run PostgreSQL as")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        as_user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": [], "cwd": folder}
    begun = subprocess.run(
        [initdb, "-D", folder / "data", "-U", "headway", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"],
        capture_output=True, text=True, check=False, **as_user,
    )  # fmt: skip
    if begun.returncode:
        shutil.rmtree(folder)
        pytest.skip(f"initdb failed: {begun.stderr.strip()}")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [server, "-D", folder / "data", "-p", str(port), "-h", "127.0.0.1", "-k", folder, "-c", "shared_buffers=8MB"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, **as_user,
    )  # fmt: skip
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if "ready to accept connections" in line:
                break
        else:
            pytest.skip("PostgreSQL did not start")
        yield sa.make_url(f"postgresql://headway@127.0.0.1:{port}/postgres")
    finally:
        process.send_signal(signal.SIGQUIT)  # at once: its data are thrown away
        process.communicate()
        shutil.rmtree(folder)


@pytest.fixture
def postgres(postgres_server: sa.URL, tmp_path: Path) -> str:
    """Return the URL of an empty database."""
    import psycopg

    name = "db_" + tmp_path.name.replace("-", "_").lower()
    with psycopg.connect(postgres_server.render_as_string(), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
    return postgres_server.set(database=name).render_as_string()


@pytest.fixture(params=["sqlite", "postgresql"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Return where a new ledger may be begun, once for each kind of database."""
    return tmp_path / "ledger.sqlite" if request.param == "sqlite" else request.getfixturevalue("postgres")
