"""How the process is faring: ``GET /health`` for whoever routes traffic, ``GET /metrics`` for Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headway.query.row_form import moment_text
from headway.server.exchange import Reply, json_reply

if TYPE_CHECKING:
    from headway.server.service import Service

__all__ = ["health", "metrics"]


def health(service: Service) -> Reply:
    """Return what is in service and what is wrong with it.

    The status is 200 while predictions are answered, also ``degraded`` (the store of looked-up features is older than
    promised, or a newer release did not load), and 503 when none should be sent: the process is ending, or its log
    does not take any.
    """
    predictor = service.predictor
    store, now_us = predictor.store, service.clock.now_us()
    age_us = now_us - store.as_of_us
    moving = any(not timeline.timeless for timeline in predictor.definitions.timelines)
    late = moving and age_us > predictor.definitions.lag_us
    problems = [service.load_problem] if service.load_problem else []
    if late:
        promised = predictor.definitions.brief.serve.refresh
        problems.append(f"What is looked up is {age_us / 60e6:.0f} minutes old; {promised} were promised.")
    down = service.draining or bool(service.log_problem)
    said: dict[str, Any] = {
        "status": "draining" if service.draining else "failing" if down else "degraded" if problems else "ready",
        "release": predictor.release,
        "model": predictor.model,
        "epoch": service.epoch,
        "now": moment_text(now_us),
        "store": {
            "digest": store.digest,
            "as_of": moment_text(store.as_of_us),
            "age_s": age_us / 1e6,
            "late": late,
        },
        "log": service.log_problem or "ok",
        "problems": problems,
    }
    return json_reply(said, status=503 if down else 200)


def metrics(service: Service) -> Reply:
    """Return the counters of this process as Prometheus reads them."""
    store = service.predictor.store
    gauges = {
        "store_age_seconds": (service.clock.now_us() - store.as_of_us) / 1e6,
        "epoch": service.epoch,
        "log_ok": float(not service.log_problem),
    }
    return Reply(200, service.metrics.text(gauges).encode(), b"text/plain; version=0.0.4; charset=utf-8")
