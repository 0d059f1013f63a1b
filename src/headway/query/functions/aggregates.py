"""Aggregates over a window; the only functions that look at more than one row."""

from __future__ import annotations

__all__ = ["AGGREGATES"]

AGGREGATES: dict[str, str] = {
    "avg": "Mean of the values that are there, fractions rounded to millionths; a condition counts as 1 or 0.",
    "sum": "Sum of the values that are there, fractions rounded to millionths; 0 of none.",
    "count": "Number of rows, or of rows where the argument is there.",
}
