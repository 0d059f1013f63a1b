"""Which of many places lies nearest on the earth: exactly, for many questions at once.

Places are points of the unit sphere in space, where the nearer one by great circle is the nearer one by chord: so a k-d
tree (Maneewongvatana & Mount 1999; SciPy's) finds it across the antimeridian and at the poles as anywhere else. The
file hides the tree, and that places which are equally near, or not known yet, are asked for in growing numbers until
the answer is certain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Wholes = NDArray[np.int64]

__all__ = ["ALIKE", "NOWHERE", "Places", "grouped_places"]

NOWHERE = -1

ALIKE = 0.000000001
"""Chords this alike (on the earth 6 mm) are equal: less is what float64 makes of two ways to say one place."""

_FIRST = 4
_AT_ONCE = 4_000_000


class Places:
    """Places in an order that decides between those that are equally near: the first one wins.

    Parameters
    ----------
    lat, lon
        Degrees north and east, finite; one row a place.
    known_us
        From when on each is known; None where all always are.

    Examples
    --------
    >>> places = Places(np.array([0.0, 0.0]), np.array([179.0, 10.0]))
    >>> places.nearest(np.array([1.0]), np.array([-178.0])).tolist()
    [0]
    """

    def __init__(self, lat: Floats, lon: Floats, known_us: Wholes | None = None) -> None:
        from scipy.spatial import cKDTree  # whoever asks for no place does not load it

        self._tree = cKDTree(_points(lat, lon))
        self._known_us = known_us

    def nearest(self, lat: Floats, lon: Floats, moment_us: Wholes | None = None) -> Wholes:
        """Return the place nearest to each point among those known by each one's moment; -1 where there is none.

        Parameters
        ----------
        lat, lon
            Degrees; what is not finite is nowhere.
        moment_us
            Needed where places are known from some time on.
        """
        found = np.full(len(lat), NOWHERE, dtype=np.int64)
        waiting = np.flatnonzero(np.isfinite(lat) & np.isfinite(lon))
        points, size = _points(lat[waiting], lon[waiting]), self._tree.n
        place, asked = np.arange(len(waiting)), min(_FIRST, size)
        while len(place) and size:
            open_ = []
            for some in np.array_split(place, -(-len(place) * asked // _AT_ONCE)):
                moments = None if moment_us is None else moment_us[waiting[some]]
                answer, settled = self._among(points[some], moments, asked)
                found[waiting[some[settled]]] = answer[settled]
                open_.append(some[~settled])
            place, asked = np.concatenate(open_), min(2 * asked, size)
        return found

    def _among(self, points: Floats, moment_us: Wholes | None, asked: int) -> tuple[Wholes, NDArray[np.bool_]]:
        """Return the answer among the ``asked`` nearest, and whether no place farther away could change it."""
        chord, place = self._tree.query(points, k=range(1, asked + 1))
        if self._known_us is not None and moment_us is not None:
            chord_known = np.where(self._known_us[place] <= moment_us[:, None], chord, np.inf)
        else:
            chord_known = chord
        reach = chord_known.min(axis=1) + ALIKE
        first = np.where(chord_known <= reach[:, None], place, self._tree.n).min(axis=1)
        answer = np.where(np.isfinite(reach), first, NOWHERE)
        return answer, (chord[:, -1] > reach) | (asked == self._tree.n)


def grouped_places(
    keys: Sequence[Any], lat: Floats, lon: Floats, known_us: Wholes | None = None
) -> Mapping[Any, tuple[Wholes, Places]]:
    """Return for each key its places, and at which rows they stand; the order of the rows stays.

    Examples
    --------
    >>> found = grouped_places(["a", "b", "a"], np.array([0.0, 1.0, 2.0]), np.zeros(3))
    >>> rows, places = found["a"]
    >>> rows[places.nearest(np.array([1.5]), np.array([0.0]))].tolist()
    [2]
    """
    rows: dict[Any, list[int]] = {}
    for row, key in enumerate(keys):
        rows.setdefault(key, []).append(row)
    found = {}
    for key, own in rows.items():
        at = np.array(own, dtype=np.int64)
        found[key] = at, Places(lat[at], lon[at], None if known_us is None else known_us[at])
    return found


def _points(lat: Floats, lon: Floats) -> Floats:
    north, east = np.radians(lat), np.radians(lon)
    return np.column_stack([np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north)])
