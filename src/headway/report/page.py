"""The report: one HTML file without a script, and without anything that is fetched from elsewhere.

The file hides how facts, figures and template come together. Everything that is put in is escaped: names and values
come from files, and a file may hold anything.
"""

from __future__ import annotations

import math
import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headway.errors import NO_ROOM, StoreError, StoreFull
from headway.report.facts import gather
from headway.report.figures import figures_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from markupsafe import Markup

    from headway.api import Project

__all__ = ["filled", "inline", "write_page", "write_report"]

_TEMPLATE = "page.html.jinja"
_NAME = "report.html"

_DASH, _MINUS = "\N{EN DASH}", "\N{MINUS SIGN}"
_PIXELS_PER_POINT = 1.34
"""So that type is of one size in all figures, and the widest is as wide as the text."""

_COLOURS = {
    "#1f2933": "var(--ink)",
    "#8a94a0": "var(--faint)",
    "#d5dae0": "var(--line)",
    "#0b6e99": "var(--model)",
    "#a5762c": "var(--other)",
    "#b3362b": "var(--alarm)",
}
"""The palette of the figures, as the page's own colours: they change with the reader's light or dark."""


def write_report(project: Project, path: str | os.PathLike[str] | None = None, *, traced: str = "") -> Path:
    """Write the page that tells the life of a project, and return where it is.

    Parameters
    ----------
    path
        The file; by default among the store's reports. It appears whole, or not at all.
    traced
        The prediction to follow to its source rows; by default the newest that was acted on and came true, or else
        the newest.

    Raises
    ------
    NotFound
        When no prediction has the id ``traced``.
    StoreFull, StoreError
        When the file cannot be written.
    """
    page = _render(project, traced=traced)
    target = Path(path) if path is not None else project.store.reports / _NAME
    write_page(target, page.encode())
    return target


def _render(project: Project, *, traced: str = "") -> str:
    """Return the page as text."""
    facts = gather(project, traced=traced)
    drawn = {name: inline(svg, name=name) for name, svg in figures_of(facts).items()}
    filters: dict[str, Callable[..., str]] = {
        "amount": _amount,
        "count": _count,
        "short": _short,
        "value": _value,
        "share": _share,
    }
    return filled(_TEMPLATE, filters, facts=facts, figures=drawn, **facts.shown)


def filled(template: str, filters: Mapping[str, Callable[..., str]], **shown: Any) -> str:
    """Return a template of this folder with what is to be shown put in: escaped, and nothing that is not there."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(filters)
    return environment.get_template(template).render(**shown)


def inline(svg: str, *, name: str) -> Markup:
    """Return a figure to stand in the page: in its colours and type, as wide as the text, with names of its own.

    Examples
    --------
    >>> print(inline('<?xml version="1.0"?><svg width="2pt"><path id="a" style="fill: #1f2933"/></svg>', name="f"))
    <svg style="width: 3px; max-width: 100%"><path id="f-a" style="fill: var(--ink)"/></svg>
    """
    from markupsafe import Markup

    text = svg[svg.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r"\s(?:xmlns(?::xlink)?|version)=\"[^\"]*\"", "", text)
    head, _, rest = text.partition(">")
    wide = re.search(r'\swidth="([\d.]+)pt"', head)
    size = f' style="width: {float(wide[1]) * _PIXELS_PER_POINT:.0f}px; max-width: 100%"' if wide else ""
    text = re.sub(r"\s(?:width|height)=\"[^\"]*\"", "", head) + size + ">" + rest
    # Several figures share one page: what one calls 'axes_1' must not be found by another.
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'href="#', f'href="#{name}-', text)
    text = re.sub(r"url\(#", f"url(#{name}-", text)
    for colour, variable in _COLOURS.items():
        text = text.replace(colour, variable)
    text = text.replace("'DejaVu Sans'", "var(--sans)")
    return Markup(text)  # noqa: S704  (matplotlib has escaped the texts; the tests put tags into them)


def write_page(target: Path, data: bytes) -> None:
    """Write a page whole or not at all.

    Raises
    ------
    StoreFull, StoreError
        When the file cannot be written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".report-", delete=False) as draft:
            try:
                draft.write(data)
                draft.flush()
                os.fsync(draft.fileno())
                Path(draft.name).chmod(0o644)
                Path(draft.name).replace(target)
            except BaseException:
                Path(draft.name).unlink(missing_ok=True)
                raise
        descriptor = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        kind = StoreFull if error.errno in NO_ROOM else StoreError
        raise kind(f"The report cannot be written: {error.strerror}.", where=str(target)) from error


def _amount(value: float | None) -> str:
    """Return an amount with as many digits as its size bears; a dash for none."""
    if value is None or math.isnan(value):
        return _DASH
    text = f"{abs(value):,.0f}" if abs(value) >= 100 else f"{abs(value):,.2f}".removesuffix(".00")
    return f"{_MINUS}{text}" if value < 0 and text.strip("0.,") else text


def _count(value: int) -> str:
    return f"{value:,}"


def _share(value: float | None) -> str:
    return _DASH if value is None else f"{value:.1%}"


def _short(digest: str) -> str:
    return digest[:12]


def _value(value: Any) -> str:
    """Return a cell of any kind as a reader expects it."""
    if value is None:
        return "missing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
