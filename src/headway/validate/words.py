"""How figures of a verdict are said: one place, so that card, gate and reason say them alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headway.nouns.metric import metric_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from headway.nouns.interval import Interval

__all__ = ["amount_words", "metric_words", "money_words", "names"]


def metric_words(metric: str) -> str:
    """Return a metric's name as people write it.

    Examples
    --------
    >>> metric_words("roc_auc")
    'ROC AUC'
    """
    return metric_of(metric).words


def amount_words(amount: float) -> str:
    """Return an amount with as many digits as its size bears.

    Examples
    --------
    >>> amount_words(2310.4), amount_words(-0.126), amount_words(0)
    ('2,310', '-0.13', '0')
    """
    if amount == 0:
        return "0"
    return f"{amount:,.0f}" if abs(amount) >= 100 else f"{amount:,.2f}"


def money_words(interval: Interval, currency: str) -> str:
    """Return an amount of money with its interval.

    Examples
    --------
    >>> from headway.nouns.interval import Interval
    >>> money_words(Interval(value=2310.4, low=1999.6, high=2600.0), "USD")
    'USD 2,310 [2,000, 2,600]'
    """
    return f"{currency} {amount_words(interval.value)} [{amount_words(interval.low)}, {amount_words(interval.high)}]"


def names(found: Sequence[str], *, shown: int = 8) -> str:
    """Return a list as a sentence carries it.

    Examples
    --------
    >>> names([]), names(["carrier = F9", "origin = LGA"])
    ('none', 'carrier = F9, origin = LGA')
    >>> names(["a", "b", "c"], shown=1)
    'a and 2 more'
    """
    if not found:
        return "none"
    rest = len(found) - shown
    return ", ".join(found[:shown]) + (f" and {rest} more" if rest > 0 else "")
