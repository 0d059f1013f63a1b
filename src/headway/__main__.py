"""``python -m headway``: the same as the command ``headway``."""

from __future__ import annotations

from headway.cli import main

__all__: list[str] = []

if __name__ == "__main__":
    main()
