"""How a file spells what it says: names that are no plain words, numbers with a comma, moments in several forms.

What a spelling says is asked of all values that are there: one that does not fit, and the column stays text. Days that
could be read day first and month first alike are left alone: a guess might be silently wrong.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from headway.define.looks import can_be_written
from headway.query.compile import quote, quote_text
from headway.query.functions import FUNCTIONS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from headway.query.database import Database

__all__ = ["cleaned_sql", "in_plain_letters", "said_by_text", "written_names"]

_LETTERS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ß": "ss", "ø": "o"})
_DAYS = (
    *("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y-%m-%d", "%Y/%m/%d", "%Y%m%d"),
    *("%d.%m.%y", "%y.%m.%d", "%d/%m/%y", "%m/%d/%y", "%y/%m/%d", "%d-%m-%y", "%m-%d-%y", "%y-%m-%d"),
)
_CLOCKS = ("", " %H:%M", " %H:%M:%S", "T%H:%M", "T%H:%M:%S", "T%H:%M:%SZ")
_MOST_FORMS = 3
_FEWEST = 3  # values, below which a form may be mere chance


def in_plain_letters(name: str) -> str:
    """Return a name without marks on its letters, as people write it who lack them.

    Examples
    --------
    >>> in_plain_letters("Größe 2024, année")
    'Groesse 2024, annee'
    """
    return unicodedata.normalize("NFKD", name.translate(_LETTERS)).encode("ascii", "ignore").decode()


def written_names(names: Iterable[str]) -> dict[str, str]:
    """Return what columns could be called in an expression, for those whose names are no plain words.

    Examples
    --------
    >>> written_names(["id", "Preis (EUR)", "Größe", "in"])
    {'Preis (EUR)': 'preis_eur', 'Größe': 'groesse', 'in': 'in_'}
    """
    every = list(names)
    taken = {name.lower() for name in every if can_be_written(name)}
    found: dict[str, str] = {}
    for name in every:
        if can_be_written(name):
            continue
        word = re.sub(r"[^a-z0-9]+", "_", in_plain_letters(name).lower()).strip("_") or "column"
        word = f"_{word}" if word[0].isdigit() else word
        word = word if can_be_written(word) else f"{word}_"
        free, number = word, 2
        while free in taken:
            free, number = f"{word}_{number}", number + 1
        taken.add(free)
        found[name] = free
    return found


def said_by_text(column: str, table: str, database: Database) -> dict[str, str | tuple[str, ...]]:
    """Return how a column of texts has to be cleaned, because all of them say a number or a moment; else nothing."""
    name = quote(column)
    there = f"{name} IS NOT NULL"
    ((count,),) = database.rows(f"SELECT count({name}) FROM {table}")
    if count < _FEWEST:
        return {}
    for mark, other in ((",", "."), (".", ",")):
        shape = f"[+-]?([0-9]+|[0-9]{{1,3}}(\\{other}[0-9]{{3}})+)(\\{mark}[0-9]+)?"
        ((fits, telling),) = database.rows(
            f"SELECT bool_and(regexp_full_match({name}, {quote_text(shape)})), "
            f"count(*) FILTER (WHERE contains({name}, {quote_text(mark)})) FROM {table} WHERE {there}"
        )
        if fits and telling:
            return {"parse": "number", "decimal": mark}
    forms = _forms(name, table, database, count)
    return {"parse": "moment", "format": forms if len(forms) > 1 else forms[0]} if forms else {}


def cleaned_sql(column: str, clean: dict[str, str | tuple[str, ...]]) -> str:
    """Return the engine's text of what a column says, by what :func:`said_by_text` has found."""
    name = quote(column)
    if clean["parse"] == "number":
        return FUNCTIONS["number"].sql_of["text", "text"].format(name, quote_text(str(clean["decimal"])))
    forms = clean["format"]
    read = [
        f"CASE WHEN length({name}) = {_length(form)} THEN try_strptime({name}, {quote_text(form)}) END"
        for form in ((forms,) if isinstance(forms, str) else forms)
    ]
    return f"coalesce({', '.join(read)})"


def _forms(name: str, table: str, database: Database, count: int) -> tuple[str, ...]:
    """Return the forms that together read every value, the commonest first; none where a day could be two days."""
    every = [f"{day}{clock}" for day in _DAYS for clock in _CLOCKS]
    read = [
        f"length({name}) = {_length(form)} AND try_strptime({name}, {quote_text(form)}) IS NOT NULL" for form in every
    ]
    (found,) = database.rows(f"SELECT {', '.join(f'count(*) FILTER (WHERE {one})' for one in read)} FROM {table}")
    kept: list[int] = []
    for at in sorted((at for at, many in enumerate(found) if many), key=lambda at: -found[at]):
        others = [found[other] for other in range(len(every)) if _same_but_order(every[other], every[at])]
        if any(many > found[at] for many in others):
            continue  # another order of day, month and year reads more of them
        if found[at] in others:
            return ()
        kept.append(at)
        if sum(found[one] for one in kept) >= count:
            break
    if not kept or len(kept) > _MOST_FORMS or sum(found[one] for one in kept) != count:
        return ()
    return tuple(every[at] for at in kept)


def _length(form: str) -> int:
    return len(re.sub("%[dmyHMS]", "00", form.replace("%Y", "0000")))


def _same_but_order(form: str, other: str) -> bool:
    """Whether two forms look alike: a year of two digits may stand where a day or a month does."""
    return form != other and re.sub("%[dmy]", "%", form) == re.sub("%[dmy]", "%", other)
