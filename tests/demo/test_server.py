"""The replay's client and what may happen to a kept connection."""

from __future__ import annotations

import socket
import threading

import pytest

from headway.demo.server import Client

ANSWER = b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 7\r\n\r\n{"a":1}'


def _answer_once_each(listening: socket.socket, connections: int) -> None:
    """Answer one request a connection, as one that is kept, and close it without a word."""
    for _ in range(connections):
        taken, _ = listening.accept()
        with taken:
            taken.recv(65_536)
            taken.sendall(ANSWER)


def test_a_kept_connection_that_the_server_has_closed_is_opened_again() -> None:
    """Whoever only asks is answered, however long the connection lay idle before."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = threading.Thread(target=_answer_once_each, args=(listening, 2))
        serving.start()
        client = Client(listening.getsockname()[1])
        assert client.get("/health") == {"a": 1}
        assert client.get("/health") == {"a": 1}
        client.close()
        serving.join()


def test_a_server_that_is_gone_is_said_to_be_gone() -> None:
    """The second refusal is no longer a matter of an idle connection."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        serving = threading.Thread(target=_answer_once_each, args=(listening, 1))
        serving.start()
        client = Client(port)
        client.get("/health")
        serving.join()
    with pytest.raises(ConnectionRefusedError):
        client.get("/health")
    client.close()
