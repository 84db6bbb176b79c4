"""Bands: how they are read, which can be used, and which one a confidence lies in."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bulkqa.errors import InputError
from bulkqa.flow.bands import PUBLISHED_BANDS, band_of, band_pairs, check_bands, read_bands


def test_bands_are_read() -> None:
    """Bands are rising numbers with commas between them, spaces ignored, the last one 100."""
    assert read_bands("80,85,90,95,100") == (80, 85, 90, 95, 100)
    assert read_bands("0, 82.5 ,100") == (0, 82.5, 100)
    assert check_bands([0, 100]) == (0, 100)
    assert band_pairs((0, 82.5, 100)) == [(0, 82.5), (82.5, 100)]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "not numbers"),
        ("80,,100", "not numbers"),
        ("80;100", "not numbers"),
        ("low,100", "not numbers"),
        ("100", "at least two"),
        ("80,80,100", "have to rise"),
        ("90,80,100", "have to rise"),
        ("80,90", "the last bound has to be 100"),
        ("80,90,101", "the last bound has to be 100"),
        ("-1,100", "within 0 to 100"),
        ("nan,100", "within 0 to 100"),
        ("80,inf", "within 0 to 100"),
    ],
)
def test_bands_that_cannot_be_used(text: str, fault: str) -> None:
    """Bands that do not rise from 0 or more up to 100 are refused, with the bands and the fault."""
    with pytest.raises(InputError, match=fault) as caught:
        read_bands(text)
    assert str(caught.value).startswith(f"bands {text!r}")


@given(st.floats(0, 100))
@example(79.99999999)
@example(80.0)
@example(85.0)
@example(100.0)
def test_a_confidence_lies_in_one_band(confidence: float) -> None:
    """A band holds low <= confidence < high, the last one 100 too; below the lowest there is none."""
    place = band_of(confidence, PUBLISHED_BANDS)
    within = [low <= confidence < high for low, high in pairwise(PUBLISHED_BANDS)]
    within[-1] |= confidence == 100
    assert place == (within.index(True) if any(within) else None)
