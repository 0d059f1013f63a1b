"""Distances on the earth."""

from __future__ import annotations

import math

from headway.query.functions.function import Function

__all__ = ["SPHERE"]


def _haversine_km(lat1: float, lon1: float, lat2: float, lon2: float) -> float | None:
    """Great-circle distance on a sphere of radius 6371.0088 km (the mean radius of IUGG 1980; Sinnott 1984)."""
    if not math.isfinite(lat1 + lon1 + lat2 + lon2):
        return None
    p1, p2 = math.radians(lat1), math.radians(lat2)
    half_lat, half_lon = math.sin((p2 - p1) / 2.0), math.sin(math.radians(lon2 - lon1) / 2.0)
    inside = half_lat * half_lat + math.cos(p1) * math.cos(p2) * half_lon * half_lon
    return 2.0 * 6371.0088 * math.asin(math.sqrt(min(1.0, inside)))


SPHERE: dict[str, Function] = {
    "haversine_km": Function(
        signatures=((("float", "float", "float", "float"), "float"),),
        sql=(
            "(CASE WHEN isfinite({0} + {1} + {2} + {3}) THEN 2.0 * 6371.0088 * asin(sqrt(least(1.0::DOUBLE, "
            "sin((radians({2}) - radians({0})) / 2.0) * sin((radians({2}) - radians({0})) / 2.0) "
            "+ cos(radians({0})) * cos(radians({2})) "
            "* sin(radians({3} - {1}) / 2.0) * sin(radians({3} - {1}) / 2.0)))) END)"
        ),
        row=_haversine_km,
        unit="km",
        doc="Kilometres between two places given as latitude, longitude, latitude, longitude in degrees.",
    ),
}
