"""Starting and stopping a serving process: one process, one thread for predictions, the log closed at the end.

The file hides uvicorn, and how the process follows what is in service: a task looks at one small file a hundred times a
second and loads what is new in another thread; requests only ever take a reference.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Literal

import uvicorn

from headway.deploy.serving import Loader
from headway.errors import GateClosed, HeadwayError
from headway.server.app import App, is_loopback
from headway.server.service import Service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import FrameType

    from headway.deploy.serving import BlobSource
    from headway.nouns.clock import Clock
    from headway.server.manage import Management

__all__ = ["serve"]

_log = logging.getLogger("headway.server")
_LOOK_EVERY_S = 0.01
_RETRY_EVERY_S = 2.0
_DRAIN_S = 10


def serve(
    *,
    serving: Path,
    blobs: BlobSource,
    log: Path,
    clock: Clock,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: str = "",
    level: Literal["process", "disk"] = "process",
    management: Management | None = None,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Answer over HTTP until SIGTERM or Ctrl-C; then finish what has come, close the log and return.

    Parameters
    ----------
    serving
        The folder in which ``deploy.serving.publish`` says what is in service.
    log
        The folder of the prediction log.
    port
        0 for any that is free.
    token
        What every caller must send; read once, from ``HEADWAY_TOKEN``, by whoever puts the programme together.
    on_ready
        Called with the address once connections are taken.

    Raises
    ------
    GateClosed
        When it would listen to more than this machine, without a token.
    NotFound, StoreCorrupt
        When nothing is in service, or it does not load.
    HeadwayError
        When the address cannot be had.
    """
    if not token and not is_loopback(host):
        raise GateClosed(
            f"On {host} anybody who reaches this machine could ask for predictions and change what is in service.",
            where="--host",
            hint="Set HEADWAY_TOKEN to a secret that callers send, or listen on 127.0.0.1.",
        )
    loader = Loader(serving, blobs)
    predictor = loader.load()
    with _listening(host, port) as listener:
        service = Service(predictor, epoch=loader.epoch, log=log, clock=clock, level=level)
        # What was loaded stays: the collector need not look at it ever again.
        gc.collect()
        gc.freeze()
        worker = ThreadPoolExecutor(1, thread_name_prefix="management")
        try:
            app = App(service, management=management, worker=worker, token=token)
            address = f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"
            with asyncio.Runner(loop_factory=_loop_factory()) as runner:
                runner.run(_run(app, service, loader, listener, on_ready=lambda: on_ready and on_ready(address)))
        finally:
            worker.shutdown()
            service.close()


class _Server(uvicorn.Server):
    """Uvicorn, but ending returns to the caller (who has a log to close) instead of raising the signal again."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = {number: signal.signal(number, self._end) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _end(self, number: int, frame: FrameType | None) -> None:
        self._service.draining = True
        self.handle_exit(number, frame)


async def _run(
    app: App, service: Service, loader: Loader, listener: socket.socket, *, on_ready: Callable[[], object]
) -> None:
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
        timeout_graceful_shutdown=_DRAIN_S,
    )
    server = _Server(config, service)
    following = asyncio.create_task(_follow(service, loader))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started and not serving.done():  # noqa: ASYNC110  (uvicorn has no event for it)
        await asyncio.sleep(0.002)
    if server.started:
        on_ready()
    try:
        await serving
    finally:
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following


async def _follow(service: Service, loader: Loader) -> None:
    """Swap the predictor whenever something else is in service; what does not load leaves the old one in its place."""
    failed_s = 0.0
    while True:
        await asyncio.sleep(_LOOK_EVERY_S)
        again = bool(service.load_problem) and time.monotonic() - failed_s > _RETRY_EVERY_S
        if not (again or loader.changed()):
            continue
        try:
            predictor = await asyncio.to_thread(loader.load)
        except Exception as error:  # noqa: BLE001  (whatever it is, what serves goes on serving)
            if not isinstance(error, HeadwayError):
                _log.exception("Loading what is in service failed.")
            service.load_problem, failed_s = f"What is in service did not load: {error}", time.monotonic()
        else:
            service.swap(predictor, epoch=loader.epoch)


@contextlib.contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except (OSError, OverflowError) as error:
            said = getattr(error, "strerror", None) or str(error)
            raise HeadwayError(
                f"{host}:{port} cannot be listened on: {said}.", where="--port", hint="Port 0 takes any that is free."
            ) from error
        listener.listen(1_024)
        listener.setblocking(False)  # noqa: FBT003
        yield listener
    finally:
        listener.close()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if os.name == "nt":
        return None
    import uvloop

    return uvloop.new_event_loop
