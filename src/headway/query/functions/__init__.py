"""The closed list of functions: for each its types, its DuckDB text and its one-row form.

A function may stand here only if both forms give the same bits for the same values; the tests hold every entry to
that over random values. Conventions of the one-row form: a moment is an ``int`` of microseconds since 1970 in UTC,
a span an ``int`` of microseconds, missing is ``None``. Unless said otherwise a missing argument makes the result
missing, on both sides. Every function has an answer for all values of its kinds: what does not fit into 64 bits, or
is no day of the calendar, is missing, so that neither training nor serving can be stopped by one odd row. The one
exception is a zone that does not exist, which is an error.
"""

from __future__ import annotations

from headway.query.functions.aggregates import AGGREGATES
from headway.query.functions.arithmetic import ARITHMETIC
from headway.query.functions.calendar import CALENDAR
from headway.query.functions.cleaning import CLEANING
from headway.query.functions.function import SQL_TYPES, Function, Kind, Signature
from headway.query.functions.holiday import HOLIDAY
from headway.query.functions.logic import LOGIC
from headway.query.functions.sphere import SPHERE
from headway.query.functions.text import TEXT

__all__ = ["AGGREGATES", "FUNCTIONS", "SQL_TYPES", "Function", "Kind", "Signature"]

FUNCTIONS: dict[str, Function] = {**ARITHMETIC, **LOGIC, **SPHERE, **TEXT, **CALENDAR, **HOLIDAY, **CLEANING}
"""Every function an expression may use, by the name (or sign) it is written with."""
