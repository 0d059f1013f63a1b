"""How figures are written on a screen: money, shares, intervals, moments, lengths of time."""

from __future__ import annotations

from typing import Any

from headway.nouns.clock import format_moment

__all__ = ["counted", "day", "interval", "moment", "money", "money_interval", "seconds", "short"]


def counted(count: int, noun: str) -> str:
    """Return how many there are of what a noun names, by its regular plural.

    Examples
    --------
    >>> counted(1, "row"), counted(0, "row"), counted(12_500, "row")
    ('1 row', '0 rows', '12,500 rows')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def interval(found: dict[str, Any] | None, *, digits: int = 3) -> str:
    """Return an estimate with its bounds.

    Examples
    --------
    >>> interval({"value": 0.3121, "low": 0.298, "high": 0.327, "level": 0.95})
    '0.312 [0.298, 0.327]'
    """
    if found is None:
        return "-"
    return f"{found['value']:.{digits}f} [{found['low']:.{digits}f}, {found['high']:.{digits}f}]"


def money(amount: float | None, currency: str) -> str:
    """Return an amount of money.

    Examples
    --------
    >>> money(1234.5, "USD"), money(-0.25, "USD")
    ('1,234 USD', '-0.25 USD')
    """
    if amount is None:
        return "-"
    return f"{amount:,.0f} {currency}" if abs(amount) >= 100 else f"{amount:,.2f} {currency}"


def money_interval(found: dict[str, Any] | None, currency: str) -> str:
    """Return an amount of money with its bounds.

    Examples
    --------
    >>> money_interval({"value": 1234.5, "low": 900.0, "high": 1500.0}, "USD")
    '1,234 USD [900, 1,500]'
    """
    if found is None:
        return "-"
    low, high = (money(found[side], "").strip() for side in ("low", "high"))
    return f"{money(found['value'], currency)} [{low}, {high}]"


def moment(us: int | None, *, zone: str = "UTC") -> str:
    """Return a moment to the minute, as a clock in ``zone`` shows it, with what that clock is off UTC.

    Examples
    --------
    >>> moment(1380585600000000), moment(1380585600000000, zone="America/New_York")
    ('2013-10-01 00:00Z', '2013-09-30 20:00-04:00')
    """
    if us is None:
        return "-"
    text = format_moment(us, zone=zone)
    off = "Z" if text.endswith("Z") else text[-6:]
    return f"{text[:10]} {text[11:16]}{off}"


def day(us: int | None, *, zone: str = "UTC") -> str:
    """Return the day of a moment in ``zone``."""
    return "-" if us is None else format_moment(us, zone=zone)[:10]


def seconds(taken: float | None) -> str:
    """Return how long something took, in the unit that a person would choose.

    Examples
    --------
    >>> seconds(0.0123), seconds(4.21), seconds(305.0)
    ('12 ms', '4.2 s', '5.1 min')
    """
    if taken is None:
        return "-"
    if taken < 0.1:
        return f"{taken * 1e3:.0f} ms"
    return f"{taken:.1f} s" if taken < 120 else f"{taken / 60:.1f} min"


def short(name: str | None) -> str:
    """Return the first digits of a digest, and other names whole.

    Examples
    --------
    >>> short("0" * 64), short("run-0123456789")
    ('000000000000', 'run-0123456789')
    """
    if not name:
        return "-"
    return name[:12] if len(name) == 64 else name
