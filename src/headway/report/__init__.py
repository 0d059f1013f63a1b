"""Pages for people: the life of a project on one self-contained page that can be mailed, printed and kept."""

from __future__ import annotations

from headway.report.page import write_report

__all__ = ["write_report"]
