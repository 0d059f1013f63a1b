"""A server as anybody would start one, in a process of its own, and a client that keeps one connection to it."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import msgspec

from headway.api import CLOCK_VARIABLE
from headway.errors import HeadwayError

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType
    from typing import Self

__all__ = ["Client", "Server"]

_READY_S = 120.0
_ADDRESS = re.compile(r"http://[\w.]+:(\d+)")


class Server:
    """``headway serve`` in a process of its own, living by the replay's clock."""

    def __init__(self, folder: Path, *, clock: Path) -> None:
        command = [sys.executable, "-m", "headway", "--project", str(folder), "serve", "--port", "0", "--no-keep-fresh"]
        self._process = subprocess.Popen(  # noqa: S603  (our own interpreter and our own words)
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, CLOCK_VARIABLE: str(clock)},
        )
        self._port = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def port(self) -> int:
        """Where it listens; waits until it does."""
        self._port = self._port or self._await_port()
        return self._port

    def _await_port(self) -> int:
        assert self._process.stdout is not None
        said = []
        deadline = time.monotonic() + _READY_S
        while time.monotonic() < deadline:
            line = self._process.stdout.readline()
            if not line:
                break
            said.append(line)
            if address := _ADDRESS.search(line):
                return int(address[1])
        self._process.kill()
        raise HeadwayError(f"The server did not start: {' '.join(said).strip() or 'it said nothing'}")


class Client:
    """One kept connection."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def post(self, path: str, body: Any) -> Any:
        """Send JSON, and return the JSON of the answer.

        Raises
        ------
        HeadwayError
            When the answer is not 200.
        """
        self._connection.request(
            "POST", path, body=msgspec.json.encode(body), headers={"Content-Type": "application/json"}
        )
        return self._answer(path)

    def get(self, path: str) -> Any:
        """Return the JSON under ``path``.

        A connection that lay idle may have been closed by the server meanwhile (a retraining takes longer than it
        keeps one, where the machine is slow); whoever only asks opens another and asks again (RFC 9110, 9.2.2).
        """
        try:
            self._connection.request("GET", path)
            return self._answer(path)
        except ConnectionError:
            self._connection.close()
            self._connection.request("GET", path)
            return self._answer(path)

    def close(self) -> None:
        """Close the connection; asking again opens another."""
        self._connection.close()

    def _answer(self, path: str) -> Any:
        answer = self._connection.getresponse()
        data = answer.read()
        if answer.status != http.HTTPStatus.OK:
            raise HeadwayError(f"{path} answered {answer.status}: {data.decode(errors='replace')[:500]}")
        return msgspec.json.decode(data)
