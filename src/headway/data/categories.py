"""What happened to texts: written otherwise, renamed, split, merged, new.

A category is established when every recent stretch has it often enough that its absence is no chance. New names are
first written as old ones might have been (another case, other blanks, a broken encoding); what is left of them is
matched with the established categories that are gone, by their shares.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headway.nouns.change import Change, Check

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from headway.nouns.profile import ColumnProfile

__all__ = ["category_changes", "repaired", "unseen"]

_LEAST_SHARE = 0.003
_RECENT = 4


def category_changes(new: ColumnProfile, whole: ColumnProfile, before: Sequence[ColumnProfile]) -> list[Change]:
    """Return what happened to the texts of a column; one cause, the simplest."""
    known = set(whole.counts) | {value for column in before for value in column.counts}
    fresh = {value: count for value, count in new.counts.items() if value not in known}
    written = _written(new, whole, fresh, known)
    if written:
        return [written]
    if not (whole.complete and new.complete):
        return []
    natural = _natural_new(before)
    least = max(_LEAST_SHARE * new.present, 2 * natural * new.present, 4)
    heavy = {value: count / new.present for value, count in fresh.items() if count >= least}
    gone = _gone(new, before)
    return _matched(new, before, heavy, gone)


def unseen(new: ColumnProfile, whole: ColumnProfile, history: Sequence[ColumnProfile]) -> tuple[float, Check | None]:
    """Return the share of texts that were never there, beyond what is natural, and the check that they fail."""
    if not (whole.complete and new.complete):
        return 0.0, None
    fresh = sum(count for value, count in new.counts.items() if value not in whole.counts) / max(1, new.present)
    natural = _natural_new(history)
    if fresh <= 2 * natural + 0.01:
        return 0.0, None
    return fresh, Check(column=new.name, test="among", values=tuple(whole.counts))


def repaired(text: str) -> str | None:
    r"""Return what a text that was read in the wrong encoding was, or None where it was not.

    Examples
    --------
    >>> repaired("Caf\u00c3\u00a9"), repaired("Café")
    ('Café', None)
    """
    for encoding in ("cp1252", "latin-1"):
        try:
            fixed = text.encode(encoding).decode("utf-8")
        except UnicodeError:
            continue
        if fixed != text:
            return repaired(fixed) or fixed
    return None


# -- written otherwise


def _written(new: ColumnProfile, whole: ColumnProfile, fresh: Mapping[str, int], known: set[str]) -> Change | None:
    """Return the way of writing that turns new texts into known ones, or shapes that columns never had."""
    ways: tuple[tuple[str, Callable[[str], object], str], ...] = (
        ("whitespace changed", lambda text: " ".join(text.split()), "blanks"),
        ("case changed", str.casefold, "small and capital letters"),
        ("case changed", lambda text: " ".join(text.split()).casefold(), "letters and blanks"),
    )
    broken = _broken(new, whole, fresh, known)
    if broken:
        return broken
    for kind, normal, what in ways:
        old = {normal(value) for value in known}
        same = {value: count for value, count in fresh.items() if normal(value) in old}
        share = sum(same.values()) / max(1, new.present)
        if share > 0.002 and sum(same.values()) >= 3:
            shown = next(iter(same))
            like = next(value for value in sorted(known) if normal(value) == normal(shown))
            return Change(
                kind=kind,
                column=new.name,
                words=f"{share:.1%} of {new.name!r} differ from known values in {what} alone: {shown!r} for {like!r}.",
                cause="Another program wrote the column, or it is no longer tidied.",
                share=share,
                detail={"from": like, "to": shown},
                bad=Check(column=new.name, test="other", values=tuple(same)),
            )
    return _shape(new, whole)


def _broken(new: ColumnProfile, whole: ColumnProfile, fresh: Mapping[str, int], known: set[str]) -> Change | None:
    share = new.shapes.get("mojibake", 0.0)
    if share > whole.shapes.get("mojibake", 0.0) * 2 + 0.0005:
        odd = new.odd.get("mojibake", ())
        shown = odd[0] if odd else ""
        fixed = repaired(shown)
        cause = f"UTF-8 was read as Windows-1252: {shown!r} was {fixed!r}." if fixed else "Letters were lost for good."
        return _encoding(new, share, cause, odd)
    foreign = {_mask(value): value for value in known if not value.isascii()}
    lost = {value: count for value, count in fresh.items() if "?" in value and _mask(value) in foreign}
    share = sum(lost.values()) / max(1, new.present)
    if share > 0.0005 and sum(lost.values()) >= 3:
        shown = next(iter(lost))
        cause = f"Letters beyond ASCII were written as '?': {shown!r} was {foreign[_mask(shown)]!r}."
        return _encoding(new, share, cause, tuple(lost))
    return None


def _mask(text: str) -> str:
    return "".join(letter if letter.isascii() else "?" for letter in text)


def _encoding(new: ColumnProfile, share: float, cause: str, values: Sequence[str]) -> Change:
    return Change(
        kind="encoding broken",
        column=new.name,
        words=f"{share:.1%} of {new.name!r} have letters of another encoding.",
        cause=cause,
        share=share,
        bad=Check(column=new.name, test="other", values=tuple(values)) if values else None,
    )


def _shape(new: ColumnProfile, whole: ColumnProfile) -> Change | None:
    """Return a change of case or blanks in a column with too many values to know each."""
    if whole.complete:
        return None
    for shape, kind, what in (
        ("padded", "whitespace changed", "blanks around or within"),
        ("lower", "case changed", "small letters only"),
        ("upper", "case changed", "capital letters only"),
    ):
        share, usual = new.shapes.get(shape, 0.0), whole.shapes.get(shape, 0.0)
        if share > usual + 0.05 + usual * (1 - usual):
            odd = new.odd.get(shape, ())
            return Change(
                kind=kind,
                column=new.name,
                words=f"{share:.1%} of {new.name!r} have {what}; before, it was {usual:.1%}.",
                cause="Another program wrote the column, or it is no longer tidied.",
                share=share,
                bad=Check(column=new.name, test="other", values=odd) if odd else None,
            )
    return None


# -- other names


def _natural_new(history: Sequence[ColumnProfile]) -> float:
    """Return the largest share that a value had in the first stretch that knew it."""
    largest, known = 0.0, set(history[0].counts) if history else set()
    for column in history[1:]:
        fresh = [count for value, count in column.counts.items() if value not in known]
        largest = max(largest, max(fresh, default=0) / max(1, column.present))
        known |= set(column.counts)
    return largest


def _gone(new: ColumnProfile, before: Sequence[ColumnProfile]) -> dict[str, float]:
    """Return the established categories that the part lacks (nearly), with the share that each lost."""
    recent = before[-_RECENT:]
    gone = {}
    for value in recent[-1].counts:
        shares = [column.share_of(value) for column in before]
        least, usual = min(shares), sum(shares[-_RECENT:]) / len(shares[-_RECENT:])
        expected = least * new.present
        # Where there is but one stretch, its share may be off by chance.
        expected -= 3 * expected**0.5 if len(before) == 1 else 0.0
        count = new.counts.get(value, 0)
        if expected >= 9 and count < 0.02 * expected:
            gone[value] = usual
    return gone


def _matched(
    new: ColumnProfile, before: Sequence[ColumnProfile], heavy: Mapping[str, float], gone: Mapping[str, float]
) -> list[Change]:
    if gone and len(heavy) == len(gone) and (pairs := _pairs(heavy, gone)):
        return [_renamed(new, old, value, gone[old]) for old, value in pairs]
    if len(gone) == 1 and len(heavy) >= 2:
        (old, share), *_ = gone.items()
        return [_split(new, old, tuple(heavy), share)]
    if len(heavy) == 1 and len(gone) >= 2:
        (into, _), *_ = heavy.items()
        return [_merged(new, tuple(gone), into)]
    if gone and not heavy:
        into, lost = _risen(new, before), sum(gone.values())
        usual = [column.share_of(into) for column in before[-_RECENT:]]
        more = new.share_of(into) - sum(usual) / len(usual)
        # What ends with a season leaves a gap that nobody fills.
        return [_merged(new, (*gone, into), into)] if lost >= 0.01 and 0.3 * lost <= more <= 3 * lost else []
    if heavy and not gone:
        return [_appeared(new, heavy)]
    if heavy:
        return [_renamed(new, old, value, gone[old]) for old, value in zip(gone, heavy, strict=False)]
    return []


def _pairs(heavy: Mapping[str, float], gone: Mapping[str, float]) -> list[tuple[str, str]]:
    return list(zip(_by_share(gone), _by_share(heavy), strict=True))


def _by_share(shares: Mapping[str, float]) -> list[str]:
    return sorted(shares, key=lambda value: -shares[value])


def _risen(new: ColumnProfile, before: Sequence[ColumnProfile]) -> str:
    """Return the known value whose share grew most, measured by what it did before."""

    def surprise(value: str) -> float:
        shares = [column.share_of(value) for column in before[-_RECENT:]]
        usual = sum(shares) / len(shares)
        spread = max(shares) - min(shares) + (max(usual, 1e-4) / max(1, new.present)) ** 0.5
        return float((new.share_of(value) - usual) / spread)

    return max(sorted(new.counts), key=surprise, default="")


def _renamed(new: ColumnProfile, old: str, value: str, share: float) -> Change:
    return Change(
        kind="category renamed",
        column=new.name,
        words=f"{old!r} of {new.name!r} is gone, and {value!r} has its share ({share:.1%}).",
        cause=f"{old!r} is now called {value!r}.",
        share=new.share_of(value),
        detail={"from": old, "to": value},
        bad=Check(column=new.name, test="other", values=(value,)),
    )


def _split(new: ColumnProfile, old: str, parts: Sequence[str], share: float) -> Change:
    shown = ", ".join(map(repr, parts))
    return Change(
        kind="category split",
        column=new.name,
        words=f"{old!r} of {new.name!r} ({share:.1%}) is gone, and {shown} stand there instead.",
        cause=f"{old!r} was split.",
        share=share,
        detail={"from": old, "to": ", ".join(parts)},
        bad=Check(column=new.name, test="other", values=tuple(parts)),
    )


def _merged(new: ColumnProfile, parts: Iterable[str], into: str) -> Change:
    shown = ", ".join(map(repr, parts))
    return Change(
        kind="categories merged",
        column=new.name,
        words=f"Of {new.name!r}, {shown} are one now" + (f": {into!r}." if into else "."),
        cause="Several categories were put together.",
        share=new.share_of(into),
        detail={"from": ", ".join(parts), "to": into},
        bad=Check(column=new.name, test="other", values=(into,)) if into else None,
    )


def _appeared(new: ColumnProfile, heavy: Mapping[str, float]) -> Change:
    value, share = max(heavy.items(), key=lambda pair: pair[1])
    return Change(
        kind="new category",
        column=new.name,
        words=f"{new.name!r} has {value!r} ({share:.1%}), which was never there"
        + (f", and {len(heavy) - 1} more." if len(heavy) > 1 else "."),
        cause="A new category came into use; none is gone whose name it could be.",
        share=sum(heavy.values()),
        detail={"value": value},
        bad=Check(column=new.name, test="other", values=tuple(heavy)),
    )
