"""Plain data as facts and tables, whatever their keys: what a screen shows that has no words of its own.

A moment is known by its key (``_us``), a digest by its length; everything else is shown as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headway.screens.figures import moment, short

if TYPE_CHECKING:
    from collections.abc import Mapping

    from headway.screens.page import Page

__all__ = ["label_of", "show_mapping", "value_text"]


def label_of(key: str) -> str:
    """Return a key as words.

    Examples
    --------
    >>> label_of("served_us"), label_of("money_per_day")
    ('served', 'money per day')
    """
    return str(key).removesuffix("_us").replace("_", " ")


def value_text(key: str, value: Any, *, zone: str = "UTC") -> str:
    """Return a plain value as text.

    Examples
    --------
    >>> value_text("served_us", 1380585600000000), value_text("rows", 12345), value_text("ok", True)
    ('2013-10-01 00:00Z', '12,345', 'yes')
    """
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return moment(value, zone=zone) if key.endswith("_us") and value > 10**14 else f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 100 else f"{value:,.0f}"
    if isinstance(value, str):
        return short(value)
    if isinstance(value, dict):
        if set(value) >= {"value", "low", "high"}:
            return f"{value['value']:,.4g} [{value['low']:,.4g}, {value['high']:,.4g}]"
        return ", ".join(f"{label_of(name)} {value_text(name, each, zone=zone)}" for name, each in value.items()) or "-"
    if isinstance(value, list | tuple):
        return ", ".join(value_text(key, each, zone=zone) for each in value) or "-"
    return str(value)


def show_mapping(page: Page, data: Mapping[str, Any], *, zone: str = "UTC") -> None:
    """Write a mapping: what is plain as facts, what is nested as a part of its own."""
    flat = [(label_of(key), value_text(key, value, zone=zone)) for key, value in data.items() if not _nested(value)]
    page.facts(flat)
    for key, value in data.items():
        if not _nested(value):
            continue
        page.section(label_of(key).capitalize(), "" if value else "none")
        if isinstance(value, dict):
            page.facts([(label_of(name), value_text(name, each, zone=zone)) for name, each in value.items()])
        else:
            _rows(page, value, zone=zone)


def _nested(value: Any) -> bool:
    if isinstance(value, dict):
        return not set(value) >= {"value", "low", "high"}
    return isinstance(value, list | tuple) and bool(value) and isinstance(value[0], dict)


def _rows(page: Page, rows: list[dict[str, Any]], *, zone: str) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row))
    page.table(
        [label_of(name) for name in names],
        [[value_text(name, row.get(name), zone=zone) for name in names] for row in rows],
        indent=2,
    )
