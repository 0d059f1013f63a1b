"""Plans of steps that are done once: an interrupted plan resumes, an unchanged one costs nothing.

Where the rows of a step are worked on, here or on a cluster, is in ``cluster.py``, and changes no result.
"""

from __future__ import annotations

from headway.engine.code import code_digest, library_versions, time_zone_version
from headway.engine.local import LocalEngine, PlanResult, StepBook
from headway.engine.plan import Plan, Step, Work
from headway.engine.progress import NoProgress, Progress

__all__ = [
    "LocalEngine",
    "NoProgress",
    "Plan",
    "PlanResult",
    "Progress",
    "Step",
    "StepBook",
    "Work",
    "code_digest",
    "library_versions",
    "time_zone_version",
]
