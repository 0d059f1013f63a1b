"""Aggregates over a window; the only functions that look at more than one row."""

from __future__ import annotations

__all__ = ["AGGREGATES"]

AGGREGATES: dict[str, str] = {
    "avg": "Mean of the values that are there, fractions rounded to millionths; a condition counts as 1 or 0.",
    "sum": "Sum of the values that are there, fractions rounded to millionths; 0 of none.",
    "count": "Number of rows, or of rows where the argument is there.",
    "std": "Standard deviation of the values that are there (of a sample: over n - 1), in millionths; missing below 2.",
    "trend": "Slope of the least-squares line through the values over their moments in whole seconds, per day; "
    "missing below 2 values, or where all are of one second.",
    "max": "Greatest of the values that are there.",
    "min": "Least of the values that are there.",
    "first": "Value of the earliest event that has one; ties as for the latest row, turned round.",
    "last": "Value of the latest event that has one.",
    "distinct": "Number of different values.",
    "share": "Rows with these values of 'match' as a share of all rows of the window: a frequency encoding.",
}
