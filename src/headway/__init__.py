"""Headway: from a business decision to a living model in production."""

from __future__ import annotations

__version__ = "0.1.0"
