"""What was known when, said a second time: row by row in plain Python, slowly, and without a look at the engine's way.

Rows are dictionaries; moments are whole numbers, whatever their unit; None is missing, or never. Nothing of Headway
is imported: what is compared must not share what it might get wrong.
"""

from __future__ import annotations

import datetime as dt
import math
import struct
from fractions import Fraction
from zoneinfo import ZoneInfo

__all__ = [
    "aggregate",
    "as_of",
    "clock_reads",
    "eligible",
    "example_moments",
    "feature",
    "float32",
    "great_circle_km",
    "in_window",
    "known_at",
    "label",
    "static",
    "when",
]

_EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001  (clocks on walls carry no zone)


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


def aggregate(function, rows):
    """Return an aggregate of ``(moment in microseconds, value)`` pairs, the earliest first.

    Arithmetic is exact until the last step; values that are missing do not count, and a row without anything to count
    (``...`` for its value) does.
    """
    there = [(at, value) for at, value in rows if value is not None]
    values = [value if isinstance(value, str) or value is ... else Fraction(value) for _, value in there]
    if function in {"count", "distinct"}:
        return len(values) if function == "count" else len(set(values))
    if function == "sum":
        return float(sum(values))
    if not values:
        return None
    if function == "avg":
        return float(sum(values) / len(values))
    if function in {"max", "min", "first", "last"}:
        found = {"max": max, "min": min, "first": lambda v: v[0], "last": lambda v: v[-1]}[function](values)
        return found if isinstance(found, str) else float(found)
    if len(values) < 2:
        return None
    mean = sum(values) / len(values)
    if function == "std":
        return math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))
    seconds = [at // 1_000_000 for at, _ in there]
    middle = Fraction(sum(seconds), len(seconds))
    below = sum((second - middle) ** 2 for second in seconds)
    if not below:
        return None
    above = sum((second - middle) * (value - mean) for second, value in zip(seconds, values, strict=True))
    return float(above / below * 86_400)


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


# -- a whole brief, said as dictionaries: see test_random_briefs.py for what stands in them


def when(moment, row):
    """Return when it is for a row: a column, so long after another, the later of two, the first that is there."""
    kind, first, *rest = moment
    if kind == "column":
        return row[first]
    value = when(first, row)
    if kind == "plus":
        return None if value is None else value + rest[0]
    other = when(rest[0], row)
    if kind == "coalesce":
        return other if value is None else value
    return None if value is None or other is None else max(value, other)


def known_at(source, row, columns):
    """Return from when on somebody could have used these columns of a row together; None for never."""
    moments = [when(source["known"][column], row) for column in columns]
    return None if None in moments else max(moments)


def _found(world, spec, ask, moment):
    """Return the rows that a look-up may see at a moment, as (event, key, became known, row), in that order."""
    source, where = world["sources"][spec["from"]], spec.get("where")
    if any(ask[mine] is None for mine in spec["match"]):
        return []
    columns = {*spec["columns"], *spec["match"].values(), source["time"], *(where["columns"] if where else ())}
    if spec.get("function", "last") in {"first", "last"}:  # the key decides between rows of one moment
        columns |= set(source["key"]) & set(source["known"])
    found = []
    for row in source["rows"]:
        event, known = row[source["time"]], known_at(source, row, columns)
        if event is None or known is None or known > moment:
            continue
        if not all(row[theirs] == ask[mine] for mine, theirs in spec["match"].items()):
            continue
        if where is None or where["holds"](row) is True:
            ties = [_nulls_first(row[name]) for name in source["key"] if name != source["time"]]
            found.append((event, ties, known, row))
    return sorted(found, key=lambda each: each[:3])


def _window(world, spec, ask, moment):
    """Return what a window gives; several values where first or last must choose between rows alike in all."""
    until = moment - spec.get("offset", 0)
    since = -math.inf if spec["window"] is None else until - spec["window"]
    inside = [each for each in _found(world, spec, ask, moment) if since < each[0] <= until]
    values = [(each[0], spec["inner"](each[3]) if spec["inner"] else ...) for each in inside]
    function = spec["function"]
    if function not in {"first", "last"}:
        return [aggregate(function, values)]
    there = [(each[:3], value) for each, (_, value) in zip(inside, values, strict=True) if value is not None]
    if not there:
        return [None]
    chosen = there[0 if function == "first" else -1][0]
    return [aggregate(function, [(0, value)]) for rank, value in there if rank == chosen]


def feature(world, spec, ask):
    """Return the values that a feature may have for an ask: one, unless rows tie in event, key and known time."""
    at = ask["predict_at"]
    moment = at - world["lag"]
    shape = spec["shape"]
    if shape == "clock":
        local = (_EPOCH + dt.timedelta(microseconds=at)).replace(tzinfo=dt.UTC).astimezone(ZoneInfo(spec["zone"]))
        return [local.hour if spec["part"] == "hour" else local.weekday()]
    if shape == "static":
        row = static(world["places"], key={theirs: ask[mine] for mine, theirs in spec["match"].items()})
        return [row and row["size"]]
    if shape == "window":
        return _window(world, spec, ask, moment)
    if shape == "ratio":
        (above,), (below,) = (_window(world, part, ask, moment) for part in spec["of"])
        return [above / below if above is not None and below else None]
    if shape == "share":
        (some,), (every,) = (_window(world, {**spec, "match": m}, ask, moment) for m in (spec["match"], {}))
        return [some / every if every else None]
    if shape == "smooth":
        weight = spec["weight"]
        (total,), (count,) = (_window(world, {**spec, "function": f}, ask, moment) for f in ("sum", "count"))
        (mean,) = _window(world, {**spec, "function": "avg", "match": {}}, ask, moment)
        return [None if mean is None else (total + weight * mean) / (count + weight)]
    found = _found(world, spec, ask, moment)
    if not found:
        return [None]
    event, key, known, _ = found[-1]
    if spec.get("max_age") is not None and at - event > spec["max_age"]:
        return [None]
    return [spec["value"](row, at) for *rank, row in found if rank == [event, key, known]]


def label(world, target, ask, *, as_of):
    """Return an ask's label by a moment, and whether it is still to come though its source goes on."""
    spec = target["outcome"]
    if spec is None:
        known = ask[target["known"]]
        return (target["value"](ask) if known is not None and known <= as_of else None), False
    known = ask["predict_at"] + target["horizon"] + target["delay"]
    if known > _reach(world, target, as_of):
        return None, True
    if any(ask[mine] is None for part in spec for mine in part["match"]):
        return None, False
    windows = [{**part, "window": target["horizon"], "offset": target["delay"]} for part in spec]
    return target["value"](*(_window(world, window, ask, known)[0] for window in windows)), False


def _reach(world, target, as_of):
    """Return up to when the sources that a label counts say anything."""
    ends = [as_of]
    for part in target["outcome"]:
        source = world["sources"][part["from"]]
        columns = {*part["columns"], *part["match"].values(), source["time"]}
        moments = [known_at(source, row, columns) for row in source["rows"]]
        ends.append(max((moment for moment in moments if moment is not None and moment <= as_of), default=-math.inf))
    return min(ends)


def eligible(world, target, ask):
    """Return whether an ask is one of those who are asked about, as known at its own moment."""
    return target["among"] is None or _window(world, target["among"], ask, ask["predict_at"])[0] > 0


def example_moments(world, target, *, as_of):
    """Return every entity at every cut-off at which it was known: local midnights, or each so long after the first.

    Where the label's sources end, asking ends.
    """
    cadence, as_of = target["cadence"], _reach(world, target, as_of)
    source, names = world["sources"][cadence["source"]], cadence["entity"]
    since = {}
    for row in source["rows"]:
        entity, known = tuple(row[name] for name in names), known_at(source, row, names)
        if None not in entity and known is not None:
            since[entity] = min(known, since.get(entity, known))
    cut_offs, day = [], cadence["starting"]
    first = clock_reads(dt.datetime(day.year, day.month, day.day), cadence["zone"])  # noqa: DTZ001
    while not cut_offs or cut_offs[-1] <= as_of:
        if cadence["days"]:
            day = cadence["starting"] + dt.timedelta(days=cadence["days"] * len(cut_offs))
            cut_offs.append(clock_reads(dt.datetime(day.year, day.month, day.day), cadence["zone"]))  # noqa: DTZ001
        else:
            cut_offs.append(first + cadence["each"] * len(cut_offs))
    return [
        {**dict(zip(names, entity, strict=True)), "predict_at": cut_off}
        for entity, known in since.items()
        for cut_off in cut_offs
        if known <= cut_off <= as_of
    ]


def clock_reads(reading, zone):
    """Return the last moment at which a clock in a zone reads this; one skipped in spring is not moved yet."""
    here, minute = ZoneInfo(zone), dt.timedelta(minutes=1)
    offset = (reading - dt.timedelta(days=1)).replace(tzinfo=here).utcoffset()
    plain = reading - offset
    near = [plain + minute * step for step in range(-120, 121, 15)]
    right = [m for m in near if m.replace(tzinfo=dt.UTC).astimezone(here).replace(tzinfo=None) == reading]
    return int((max(right, default=plain) - _EPOCH) / dt.timedelta(microseconds=1))
