"""What was known when, said a second time: row by row in plain Python, slowly, and without a look at the engine's way.

Rows are dictionaries; moments are whole numbers, whatever their unit; None is missing, or never. Nothing of Headway
is imported: what is compared must not share what it might get wrong.
"""

from __future__ import annotations

import math
import struct
from fractions import Fraction

__all__ = ["aggregate", "as_of", "float32", "great_circle_km", "in_window", "static"]


def float32(value):
    """Return what is left of a number in 32 bits; None for missing."""
    return None if value is None else struct.unpack("f", struct.pack("f", value))[0]


def _matches(row, key):
    return all(wanted is not None and row[name] == wanted for name, wanted in key.items())


def _all_known_by(row, moments, moment):
    return all(row[name] is not None and row[name] <= moment for name in moments)


def _nulls_first(value):
    return (0, 0) if value is None else (1, value)


def as_of(rows, *, key, known, event, moment, ties, carried):
    """Return the latest matching row among those known by ``moment``, or None.

    Parameters
    ----------
    known
        Columns that say when; all of them must have come.
    ties
        Columns that decide between rows of one event time: the greatest wins, missing is least. After these the row
        that became known last, after that the greatest values in ``carried``.
    """
    latest, best = None, None
    for row in rows:
        if not _matches(row, key) or row[event] is None or not _all_known_by(row, known, moment):
            continue
        became_known = max(row[name] for name in known)
        rank = (
            row[event],
            [_nulls_first(row[name]) for name in ties],
            became_known,
            [_nulls_first(row[name]) for name in carried],
        )
        if best is None or rank > best:
            latest, best = row, rank
    return latest


def in_window(rows, *, key, known, event, moment, length):
    """Return the matching rows that happened in ``(moment - length, moment]`` and are known by ``moment``."""
    return [
        row
        for row in rows
        if _matches(row, key)
        and row[event] is not None
        and moment - length < row[event] <= moment
        and _all_known_by(row, known, moment)
    ]


def aggregate(function, values):
    """Return avg, sum or count of values, in exact arithmetic; those that are missing do not count."""
    there = [value for value in values if value is not None]
    if function == "count":
        return len(there)
    there = [Fraction(int(value) if isinstance(value, bool) else value) for value in there]
    if function == "sum":
        return float(sum(there))
    return float(sum(there) / len(there)) if there else None


def static(rows, *, key):
    """Return the one matching row, or None."""
    found = [row for row in rows if _matches(row, key)]
    assert len(found) <= 1
    return found[0] if found else None


def great_circle_km(lat1, lon1, lat2, lon2):
    """Return the distance on a sphere by Vincenty's formula, which shares no step with the haversine one."""
    if None in (lat1, lon1, lat2, lon2):
        return None
    p1, p2, turn = math.radians(lat1), math.radians(lat2), math.radians(lon2 - lon1)
    across = math.hypot(
        math.cos(p2) * math.sin(turn),
        math.cos(p1) * math.sin(p2) - math.sin(p1) * math.cos(p2) * math.cos(turn),
    )
    along = math.sin(p1) * math.sin(p2) + math.cos(p1) * math.cos(p2) * math.cos(turn)
    return 6371.0088 * math.atan2(across, along)
