"""What a serving process holds: the predictor of the moment, the log, the clock, and how it is faring.

The predictor is one reference to an immutable object. A request takes it once; whatever is swapped in meanwhile, it
goes on with what it took.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headway.predictions.idempotency import Idempotency
from headway.predictions.writer import Writer
from headway.server.metrics import Metrics

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Literal

    from headway.deploy.predictor import Predictor
    from headway.nouns.clock import Clock

__all__ = ["Service"]


class Service:
    """The state of one process; for its event loop's thread alone.

    Parameters
    ----------
    predictor, epoch
        What is in service.
    log
        The folder of the prediction log.
    level
        What the log promises before a reply: see ``predictions.writer``.

    Attributes
    ----------
    draining
        Set when the process was told to end; it still answers what has come.
    load_problem, log_problem
        What went wrong last, as text; "" while all is well.
    """

    def __init__(
        self,
        predictor: Predictor,
        *,
        epoch: int,
        log: Path,
        clock: Clock,
        level: Literal["process", "disk"] = "process",
    ) -> None:
        self.predictor = predictor
        self.epoch = epoch
        self.clock = clock
        self.writer = Writer(log, level=level)
        self.idempotency = Idempotency(log, clock=clock)
        self.metrics = Metrics()
        self.draining = False
        self.load_problem = ""
        self.log_problem = ""

    def swap(self, predictor: Predictor, *, epoch: int) -> None:
        """Put another predictor into service; requests on their way keep the one they began with."""
        self.predictor, self.epoch, self.load_problem = predictor, epoch, ""

    def close(self) -> None:
        """Bring the log to the disk and let go of it."""
        self.writer.close()
