"""Texts: parts of them, and simple figures about them."""

from __future__ import annotations

import re
import unicodedata

from headway.query.functions.function import Function

__all__ = ["TEXT"]

# What parts words; the same class in both tongues of regular expressions.
_WORD = r"[^ \t\n\r\f\v]+"


def _lower(text: str) -> str:
    # Letter by letter and one letter for each, as Unicode's simple mapping says: no final sigma, no combining dot.
    return "".join("i" if letter == "\u0130" else letter.lower() for letter in text)


def _capitals_share(text: str) -> float | None:
    kinds = [unicodedata.category(letter) for letter in text]
    letters = sum(kind[0] == "L" for kind in kinds)
    return sum(kind == "Lu" for kind in kinds) / letters if letters else None


def _contains_any(text: str | None, *parts: str | None) -> bool | None:
    if text is None:
        return None
    if any(part is not None and part in text for part in parts):
        return True
    return None if None in parts else False


def _letters(kind: str) -> str:
    return f"length(regexp_replace({{0}}, '[^\\p{{{{{kind}}}}}]', '', 'g'))"


TEXT: dict[str, Function] = {
    "lower": Function(signatures=((("text",), "text"),), sql="lower({0})", row=_lower, doc="In small letters."),
    "trim": Function(
        signatures=((("text",), "text"),),
        sql="trim({0}, ' ')",
        row=lambda a: a.strip(" "),
        doc="Without spaces at its ends.",
    ),
    "length": Function(
        signatures=((("text",), "int"),), sql="length({0})", row=len, doc="Number of code points.", unit="characters"
    ),
    "concat": Function(
        signatures=((("text", "text"), "text"),),
        sql="({0} || {1})",
        row=lambda a, b: a + b,
        doc="One text after the other.",
    ),
    "starts_with": Function(
        signatures=((("text", "text"), "bool"),),
        sql="starts_with({0}, {1})",
        row=lambda a, b: a.startswith(b),
        doc="Whether the first text begins with the second.",
    ),
    "contains": Function(
        signatures=((("text", "text"), "bool"),),
        sql="contains({0}, {1})",
        row=lambda a, b: b in a,
        doc="Whether the second text stands in the first.",
    ),
    "text": Function(
        signatures=((("int",), "text"),), sql="CAST({0} AS VARCHAR)", row=str, doc="A whole number as text."
    ),
    "words": Function(
        signatures=((("text",), "int"),),
        sql=f"len(regexp_extract_all({{0}}, '{_WORD}'))",
        row=lambda text: len(re.findall(_WORD, text)),
        doc="Number of words: runs of anything but spaces, tabs and line ends.",
        unit="words",
    ),
    "digits": Function(
        signatures=((("text",), "int"),),
        sql="length(regexp_replace({0}, '[^0-9]', '', 'g'))",
        row=lambda text: sum(letter in "0123456789" for letter in text),
        doc="Number of digits 0 to 9.",
        unit="digits",
    ),
    "contains_any": Function(
        signatures=((("text", "text*"), "bool"),),
        sql=lambda text, *parts: f"({' OR '.join(f'contains({text}, {part})' for part in parts)})",
        row=_contains_any,
        strict=False,
        doc="Whether one of the further texts stands in the first.",
    ),
    "capitals_share": Function(
        signatures=((("text",), "float"),),
        sql=f"(CAST({_letters('Lu')} AS DOUBLE) / nullif({_letters('L')}, 0))",
        row=_capitals_share,
        doc="Share of capitals among the letters; missing where there are none.",
        unit="share",
    ),
}
