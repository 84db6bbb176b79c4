"""Slices and the specs that cover them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkqa.errors import InputError
from bulkqa.flow.evidence import Value
from bulkqa.flow.slices import (
    CrossSliceSpec,
    Feature,
    Finder,
    MetricKey,
    Metrics,
    Slice,
    SliceSpec,
    SubKey,
    as_feature,
    check_spec,
    describe_metric,
)

AUC = MetricKey("auc")


def covers(spec: SliceSpec, *features: tuple[str, Feature]) -> bool:
    """Say whether a spec covers the slice with these features."""
    return spec.covers(features)


def test_a_spec_without_features_is_the_overall_slice() -> None:
    """SlicingSpec {} covers the overall slice and no other."""
    assert covers(SliceSpec())
    assert not covers(SliceSpec(), ("age", 30))


def test_a_slice_has_exactly_the_features_of_its_spec() -> None:
    """All of them, nothing more, in any order; one that it names twice is covered by nothing."""
    spec = SliceSpec(keys=("age",), values=(("country", "DE"),))
    assert covers(spec, ("age", 30), ("country", "DE"))
    assert covers(spec, ("country", "DE"), ("age", "old"))
    assert not covers(spec, ("age", 30))
    assert not covers(spec, ("age", 30), ("country", "FR"))
    assert not covers(spec, ("age", 30), ("country", "DE"), ("shoe", 42))
    assert not covers(SliceSpec(keys=("age",)), ("age", 30), ("age", 31))


@pytest.mark.parametrize(
    ("written", "value", "same"),
    [
        ("30", 30, True),
        ("30", "30", True),
        ("0.5", 0.5, True),
        ("007", 7, True),
        ("30", 30.0, True),
        ("30.0", 30, True),
        ("1e3", 1000, False),
        ("1e3", "1e3", True),
        ("-3", -3, True),
        ("DE", "de", False),
        ("", "", True),
        ("..", "..", True),
        ("9" * 5000, "9" * 5000, True),
    ],
)
def test_values_are_compared_after_conversion(written: str, value: Feature, same: bool) -> None:
    """Text with a point counts as a float, other text as an integer, where it can be read so."""
    assert covers(SliceSpec(values=(("age", written),)), ("age", value)) is same


def test_a_feature_is_wanted_with_any_value_or_with_one() -> None:
    """A spec that says both is refused, by the feature's name."""
    with pytest.raises(InputError, match="'age'"):
        check_spec(SliceSpec(("age",), (("age", "30"),)))


def test_pairs_are_those_of_the_specs() -> None:
    """Each slice of the baseline spec with each of the others, or with all that it does not cover."""
    slices: list[Slice] = [(), (("c", "DE"),), (("c", "FR"),), (("age", 1),)]
    finder = Finder(slices)
    overall, countries = SliceSpec(), SliceSpec(("c",))
    assert finder.pairs(CrossSliceSpec(overall, (countries,))) == [(0, 1), (0, 2)]
    assert finder.pairs(CrossSliceSpec(overall)) == [(0, 1), (0, 2), (0, 3)]
    twice = CrossSliceSpec(overall, (countries, SliceSpec(values=(("c", "DE"),))))
    assert finder.pairs(twice) == [(0, 1), (0, 2)]
    assert finder.pairs(CrossSliceSpec(countries, (overall,))) == [(1, 0), (2, 0)]


names = st.sampled_from(["a", "b", "c"])
features = st.lists(st.tuples(names, st.integers(0, 2)), max_size=3, unique_by=lambda one: one[0])


@given(st.lists(features, max_size=8), features, st.sets(names))
def test_a_finder_finds_what_a_spec_covers(
    slices: list[list[tuple[str, int]]], values: list[tuple[str, int]], keys: set[str]
) -> None:
    """Found by features, slices are those that a plain look at each would choose."""
    spec = SliceSpec(
        tuple(sorted(keys - dict(values).keys())), tuple((key, str(value)) for key, value in values)
    )
    listed: list[Slice] = [tuple(one) for one in slices]
    plain = [
        place
        for place, slice in enumerate(listed)
        if dict(slice).keys() == {*spec.keys, *dict(values)} and dict(values).items() <= dict(slice).items()
    ]
    assert Finder(listed).covered(spec) == plain


@given(st.text(max_size=12))
def test_conversion_changes_nothing_twice(text: str) -> None:
    """What has been converted is converted to itself."""
    once = as_feature(text)
    assert as_feature(once) == once or once != once


def test_metrics_keep_what_they_were_told() -> None:
    """A metric is set once; a slice that lacks it says so."""
    metrics = Metrics()
    first, second = metrics.add(()), metrics.add((("age", 1),))
    assert metrics.add(()) == first
    assert metrics.put(second, AUC, Value(0.5))
    assert not metrics.put(second, AUC, Value(0.7))
    assert metrics.get(first, AUC) is None
    assert metrics.get(second, AUC) == Value(0.5)
    assert metrics.get(second, MetricKey("recall")) is None


def test_a_metric_in_words_says_what_it_is_of() -> None:
    """Its output, class, k and weighting."""
    key = MetricKey("recall", "", "head", SubKey(class_id=2), None, True)
    assert describe_metric(key) == "recall (head, class 2, weighted)"
    assert describe_metric(MetricKey("recall", sub_key=SubKey(top_k=5))) == "recall (top k 5)"
