"""``python -m bench.bare GRAPH INPUTS``: the least that could answer: read the body, run the graph, write the score.

The same uvicorn, event loop and options as ``headway serve``; the same ONNX session; the inputs are ready arrays, so
that nothing of a request is parsed, checked, looked up or logged. No server can be quicker and still be one.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import uvicorn
import uvloop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

__all__ = ["feeds_of", "main"]


def session_of(graph: bytes) -> onnxruntime.InferenceSession:
    """Return a session set up as Headway's."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def feeds_of(session: onnxruntime.InferenceSession, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what the session takes for each row of features."""
    texts = {i.name for i in session.get_inputs() if i.type == "tensor(string)"}
    names = [i.name for i in session.get_inputs()]

    def value(row: dict[str, Any], name: str) -> Any:
        if name in texts:
            return np.array([[row[name] or ""]], dtype=object)
        return np.array([[np.nan if row[name] is None else row[name]]], dtype=np.float32)

    return [{name: value(row, name) for name in names} for row in rows]


class _App:
    def __init__(self, session: onnxruntime.InferenceSession, feeds: Sequence[dict[str, Any]]) -> None:
        self._session = session
        self._feeds = itertools.cycle(feeds)

    async def __call__(
        self, scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
    ) -> None:
        if scope["type"] != "http":
            return
        while (await receive()).get("more_body"):
            pass
        score = float(self._session.run(["score"], next(self._feeds))[0][0, 0])
        body = f'{{"score":{score!r}}}'.encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def main(graph: str, inputs: str) -> None:
    """Serve until told to stop."""
    session = session_of(Path(graph).read_bytes())
    app = _App(session, feeds_of(session, json.loads(Path(inputs).read_text(encoding="utf-8"))))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1_024)
        print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        config = uvicorn.Config(
            app,
            http="httptools",
            loop="none",
            lifespan="off",
            ws="none",
            access_log=False,
            log_config=None,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            timeout_keep_alive=75,
        )
        gc.collect()
        gc.freeze()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(uvicorn.Server(config).serve(sockets=[listener]))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
