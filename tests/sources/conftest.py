"""What the tests of sources share: a real PostgreSQL with passwords, and a real object store, both of our own."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

PASSWORD = "Gl4ss:be/ad@s %"  # noqa: S105  (of a server that lives as long as the tests)
"""With all that means something in a URL."""


class Server:
    """A PostgreSQL server and an empty database of it."""

    def __init__(self, port: int, database: str) -> None:
        self.url = f"postgresql://127.0.0.1:{port}/{database}"
        self._admin = f"postgresql://headway:{quote(PASSWORD, safe='')}@127.0.0.1:{port}/{database}"

    def run(self, *statements: str) -> None:
        """Run statements as whoever owns the database."""
        import psycopg

        with psycopg.connect(self._admin, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def connect(self) -> Any:
        """Return a connection with a transaction of its own."""
        import psycopg

        return psycopg.connect(self._admin)


def _program(name: str) -> str | None:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return shutil.which(name) or (str(found[-1]) if found else None)


@pytest.fixture(scope="session")
def postgres_port() -> Iterator[int]:
    """Yield the port of a PostgreSQL that asks for a password; skip where none can be started."""
    pytest.importorskip("psycopg")
    pytest.importorskip("adbc_driver_postgresql")
    initdb, server = _program("initdb"), _program("postgres")
    if initdb is None or server is None:
        pytest.skip("PostgreSQL's initdb and postgres are not installed")
    as_user: dict[str, Any] = {}
    folder = Path(tempfile.mkdtemp(prefix="headway-postgres-"))
    (folder / "password").write_text(PASSWORD)
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        try:
            nobody = pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("running as root, and there is no user 'postgres' to run PostgreSQL as")
        for path in (folder, folder / "password"):
            os.chown(path, nobody.pw_uid, nobody.pw_gid)
        as_user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": [], "cwd": folder}
    begun = subprocess.run(
        [initdb, "-D", folder / "data", "-U", "headway", "-A", "scram-sha-256", "--pwfile", folder / "password",
         "-E", "UTF8", "--locale=C", "--no-sync"],
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
        yield port
    finally:
        process.send_signal(signal.SIGQUIT)  # at once: its data are thrown away
        process.communicate()
        shutil.rmtree(folder)


@pytest.fixture
def postgres(postgres_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    """Return an empty database; the environment holds who may read it."""
    name = "db_" + tmp_path.name.replace("-", "_").lower()
    Server(postgres_port, "postgres").run(f'CREATE DATABASE "{name}"')
    monkeypatch.setenv("SALES_USER", "headway")
    monkeypatch.setenv("SALES_PASSWORD", PASSWORD)
    return Server(postgres_port, name)


class Bucket:
    """A bucket of an object store that speaks as Amazon's does."""

    def __init__(self, endpoint: str, name: str) -> None:
        self.endpoint, self.name = endpoint, name

    def request(self, method: str, path: str, data: bytes = b"") -> bytes:
        """Ask the store itself."""
        headers = {
            "Content-Type": "application/octet-stream",  # what looks like a form, it would wait for in vain
            "Authorization": "AWS4-HMAC-SHA256 Credential=me/20130701/us-east-1/s3/aws4_request, SignedHeaders=host, "
            "Signature=0",
        }
        asked = urllib.request.Request(f"{self.endpoint}/{path}", data=data, method=method, headers=headers)  # noqa: S310
        with urllib.request.urlopen(asked, timeout=10) as answer:  # noqa: S310
            return bytes(answer.read())

    def put(self, key: str, data: bytes | str) -> None:
        """Write an object."""
        self.request("PUT", f"{self.name}/{key}", data if isinstance(data, bytes) else data.encode())


@pytest.fixture(scope="session")
def object_store() -> Iterator[str]:
    """Yield the address of an object store of our own; skip where none can be started."""
    pytest.importorskip("obstore")
    pytest.importorskip("moto")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/moto-api/", timeout=5).close()
                break
            except urllib.error.URLError:
                assert process.poll() is None, "the object store did not start"
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def bucket(object_store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """Return an empty bucket; the environment holds who may read it."""
    made = Bucket(object_store, tmp_path.name.replace("_", "-").lower()[-60:].strip("-"))
    made.request("PUT", made.name)
    monkeypatch.setenv("STORE_KEY", "AKIAEXAMPLE")
    monkeypatch.setenv("STORE_SECRET", PASSWORD)
    return made
