"""The engine's book of finished steps, kept in the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headway.nouns.event import StepFinished

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from headway.ledger.ledger import Ledger

__all__ = ["LedgerBook"]


class LedgerBook:
    """A ``StepBook`` whose entries are ``StepFinished`` events; ``now_us`` is asked for the time of each."""

    def __init__(self, ledger: Ledger, *, now_us: Callable[[], int]) -> None:
        self._ledger = ledger
        self._now_us = now_us

    def get(self, key: str) -> dict[str, Any] | None:
        """Return what the step with this key put out, or ``None``."""
        return self._ledger.step(key)

    def put(self, key: str, *, step: str, output: Mapping[str, Any], seconds: float) -> None:
        """Record that the step has finished; it survives a loss of power once this returns."""
        event = StepFinished(key=key, step=step, output=dict(output), seconds=seconds)
        self._ledger.append(event, now_us=self._now_us())
