"""The hot path, alone: a body in, contract, look-ups, graph, log, reply. No lock, no ledger, no thread to hop to.

A prediction takes less time than handing it to another thread would, so it runs where the request arrived.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec
from blake3 import blake3

from headway.deploy.predictor import reply
from headway.errors import StoreError
from headway.server.exchange import Receive, Reply, Scope, header, read_body

if TYPE_CHECKING:
    from collections.abc import Sequence

    from headway.nouns.prediction import Prediction
    from headway.server.service import Service

__all__ = ["predict"]


class _Shape(msgspec.Struct):
    """Whether a body asked for one row, whatever the row holds."""

    row: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_shape = msgspec.json.Decoder(_Shape)


async def predict(service: Service, scope: Scope, receive: Receive) -> Reply:
    """Return the answer to ``POST /v1/predict``, which is in the log before this returns.

    Raises
    ------
    RequestError
        When the request breaks the contract or is too large, or its idempotency key came with another body.
    StoreError
        When it cannot be logged: what cannot be logged is not answered.
    """
    body = await read_body(scope, receive, limit=service.predictor.definitions.brief.serve.max_body_bytes)
    received_ns = time.perf_counter_ns()
    key = header(scope, b"idempotency-key")
    predictor = service.predictor
    if not key:
        request = predictor.contract.decode(body)
        predictions = predictor.predict(request, now_us=service.clock.now_us(), received_ns=received_ns)
        return _answered(service, predictions, _logged(service, predictions), single=request.single)
    name, digest = key.decode("latin-1"), blake3(body).hexdigest()
    with service.idempotency.hold(name, digest) as before:
        if before is not None:
            return Reply(200, reply(before, [p.id for p in before], single=_is_single(body), task=predictor.task))
        request = predictor.contract.decode(body)
        predictions = predictor.predict(
            request, now_us=service.clock.now_us(), received_ns=received_ns, idempotency=name, body_digest=digest
        )
        ids = _logged(service, predictions)
    return _answered(service, predictions, ids, single=request.single)


def _logged(service: Service, predictions: Sequence[Prediction]) -> list[str]:
    try:
        ids = service.writer.append_many(predictions)
    except StoreError as error:
        service.log_problem = str(error)
        raise
    service.log_problem = ""
    return ids


def _answered(service: Service, predictions: Sequence[Prediction], ids: list[str], *, single: bool) -> Reply:
    warned = sum(each.warnings is not msgspec.UNSET for each in predictions)
    service.metrics.observe(predictions[0].latency_us, predictions=len(ids), warned=warned)
    return Reply(200, reply(predictions, ids, single=single, task=service.predictor.task))


def _is_single(body: bytes) -> bool:
    """Return whether a body that was answered before asked for one row, whatever today's contract says of the row."""
    return _shape.decode(body).row is not msgspec.UNSET
