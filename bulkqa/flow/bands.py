"""Bands of confidence, by which everything is told: their bounds, and which one an item lies in.

A band [lo, hi) holds lo <= confidence < hi, the last one hi as well, judged on the confidence as given,
never rounded.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise

from bulkqa.errors import InputError

Bands = tuple[float, ...]
"""The bounds of the bands, rising: (80, 85, 90, 95, 100) are four bands."""

PUBLISHED_BANDS: Bands = (80, 85, 90, 95, 100)


def read_bands(text: str) -> Bands:
    """Return bands given as rising bounds with commas between them, the last one 100.

    Raises `InputError` naming the fault.

    >>> read_bands("80,85,90,95,100")
    (80.0, 85.0, 90.0, 95.0, 100.0)
    """
    try:
        bands = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"bands {text!r}: not numbers with commas between them") from None
    return check_bands(bands)


def check_bands(bands: Sequence[float]) -> Bands:
    """Return `bands` if they can be used: at least two bounds, rising, from 0 up, the last one 100."""
    shown = ",".join(f"{bound:g}" for bound in bands)
    if len(bands) < 2:
        raise InputError(f"bands {shown!r}: at least two bounds are needed")
    if not all(math.isfinite(bound) for bound in bands) or bands[0] < 0:
        raise InputError(f"bands {shown!r}: every bound has to lie within 0 to 100")
    if any(low >= high for low, high in pairwise(bands)):
        raise InputError(f"bands {shown!r}: the bounds have to rise")
    if bands[-1] != 100:
        raise InputError(f"bands {shown!r}: the last bound has to be 100, so that every item has a band")
    return tuple(bands)


def band_pairs(bands: Bands) -> list[tuple[float, float]]:
    """Return the bands as (low, high).

    >>> band_pairs((80, 90, 100))
    [(80, 90), (90, 100)]
    """
    return list(pairwise(bands))


def band_of(confidence: float, bands: Sequence[float]) -> int | None:
    """Return the place of the band that a confidence lies in, or None below the lowest.

    >>> [band_of(confidence, (80, 85, 90, 95, 100)) for confidence in (79.9, 80, 85, 100)]
    [None, 0, 1, 3]
    """
    place = bisect_right(bands, confidence, hi=len(bands) - 1) - 1
    return None if place < 0 else place
