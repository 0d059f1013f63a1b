"""``python -m bench.one_demo FOLDER``: the demonstration, and the memory that its processes took, as JSON.

A process of its own, because the peak of a process only ever grows.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

__all__ = ["main"]


def main(folder: str) -> None:
    """Demonstrate in ``folder``."""
    from headway.demo.run import demonstrate

    summary = demonstrate(Path(folder))
    unit = 1 if sys.platform == "darwin" else 1024
    own, others = (resource.getrusage(who).ru_maxrss * unit for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(json.dumps({"seconds": summary.seconds, "own_bytes": own, "server_bytes": others, "served": summary.served}))


if __name__ == "__main__":
    main(sys.argv[1])
