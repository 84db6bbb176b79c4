"""A job's report as metrics of a gate."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkqa.errors import InputError
from bulkqa.evaluation.job_metrics import of_report
from bulkqa.evaluation.short_gate import read_short
from bulkqa.flow.evidence import Bounds, Counts, Value
from bulkqa.flow.gate import judge
from bulkqa.flow.limits import Outcome
from bulkqa.flow.report import LabelTally, Report, Tally, as_json
from bulkqa.flow.slices import OVERALL, MetricKey, Metrics, Slice

REPORT = Report(
    (80, 82.5, 100),
    {
        "Cat": LabelTally([Tally(), Tally(unreviewed=4)]),
        "Dog": LabelTally([Tally(confirmed=8, disconfirmed=1, split=1, unreviewed=2), Tally(confirmed=5)]),
    },
)

tallies = st.builds(Tally, *[st.integers(0, 40)] * 4)
reports = st.dictionaries(st.text(max_size=3), st.tuples(tallies, tallies), max_size=4).map(
    lambda lines: Report((80, 90, 100), {label: LabelTally(list(bands)) for label, bands in lines.items()})
)


def value(metrics: Metrics, slice: Slice, name: str, model: str = "") -> Value:
    """A metric that is there."""
    found = metrics.get(metrics.slices[slice], MetricKey(name, model))
    assert found is not None
    return found


def asks(**metrics: Any) -> bool:
    """Say whether a report passes a short gate."""
    return judge(read_short(metrics, "gate"), of_report(REPORT)).ok


def test_every_slice_has_its_counts() -> None:
    """All, a label, a band, and both: confirmed of reviewed with the counts behind it, and how many."""
    metrics = of_report(REPORT)
    assert value(metrics, OVERALL, "precision") == Value(13 / 15, Counts(13, 15))
    assert value(metrics, (("label", "Dog"),), "precision") == Value(13 / 15, Counts(13, 15))
    assert value(metrics, (("band", "80-82.5"),), "precision") == Value(0.8, Counts(8, 10))
    assert value(metrics, (("band", "82.5-100"), ("label", "Dog")), "precision").point == 1
    assert value(metrics, OVERALL, "reviewed") == Value(15, Bounds(15, 15))
    assert value(metrics, OVERALL, "example_count") == Value(21, Bounds(21, 21))


def test_numbers_of_items_are_sure() -> None:
    """By intervals precision may lack data; how many were reviewed never does."""
    gate = read_short(
        {name: {"at_least": 0.5, "slices": "overall"} for name in ("precision", "reviewed")}, ""
    )
    verdict = judge(gate, of_report(Report((80, 100), {"Dog": LabelTally([Tally(2)])})), confidence=0.95)
    outcomes = {check.metric.name: check.outcome for check in verdict.checks}
    assert outcomes == {"precision": Outcome.UNDECIDED, "reviewed": Outcome.PASSED}


def test_a_slice_without_items_is_none() -> None:
    """A label's empty band is left out; where there are items and no reviews, precision is NaN."""
    metrics = of_report(REPORT)
    assert (("band", "80-82.5"), ("label", "Cat")) not in metrics.slices
    assert math.isnan(value(metrics, (("label", "Cat"),), "precision").point)
    assert not asks(precision={"at_least": 0, "slices": [{"label": "Cat"}]})
    assert asks(precision={"at_least": 0, "slices": [{"label": "Dog"}]})


def test_a_job_without_items_has_not_passed() -> None:
    """Overall is there even where nothing else is, and fails."""
    metrics = of_report(Report((80, 100)))
    assert list(metrics.slices) == [OVERALL]
    assert not judge(read_short({"precision": {"at_least": 0}}, "gate"), metrics).ok


@given(reports)
def test_a_report_and_its_document_are_the_same(report: Report) -> None:
    """The JSON that the command prints, with the published conventions or without, gives the same metrics."""
    for published in (False, True):
        document = json.loads(json.dumps(as_json(report, "dogs", 1, published)))
        ours, theirs = of_report(report), of_report(document)
        assert repr((ours.slices, ours.columns)) == repr((theirs.slices, theirs.columns))


@given(reports)
def test_reviews_add_up(report: Report) -> None:
    """Over labels, over bands, and over both the numbers are those of all."""
    metrics = of_report(report)
    for name in ("reviewed", "example_count"):
        for features in ({"label"}, {"band"}, {"label", "band"}):
            of_kind = [one for one in metrics.slices if {key for key, _ in one} == features]
            whole = value(metrics, OVERALL, name).point
            assert math.fsum(value(metrics, one, name).point for one in of_kind) == whole


@given(st.lists(st.integers(1, 50), min_size=1, max_size=6))
def test_all_confirmed_passes(sizes: list[int]) -> None:
    """Where every item is confirmed, every slice has a precision of at least 0.95."""
    labels = {f"L{place}": LabelTally([Tally(size), Tally()]) for place, size in enumerate(sizes)}
    gate = read_short({"precision": {"at_least": 0.95}}, "gate")
    assert judge(gate, of_report(Report((80, 90, 100), labels))).ok


def test_a_baseline_goes_beside() -> None:
    """A second report is added under its model, and compared with slice by slice."""
    metrics = of_report(REPORT)
    of_report(REPORT, model="baseline", metrics=metrics)
    assert value(metrics, OVERALL, "precision", "baseline").point == 13 / 15
    gate = read_short({"precision": {"not_worse_than_baseline_by": 0, "slices": [{"label": "Dog"}]}}, "gate")
    assert judge(gate, metrics).ok


@pytest.mark.parametrize(
    ("totals", "said"),
    [
        ({}, "'total'|'confirmed'|'unreviewed'"),
        ({"confirmed": 3, "unreviewed": 0, "total": 2}, "at most the 2 that were reviewed"),
        ({"confirmed": "3", "unreviewed": 0, "total": 2}, "'confirmed'"),
        ({"confirmed": 1, "unreviewed": 0, "total": 2, "bands": [{"band": [80]}]}, "its two bounds"),
        (7, "'totals'"),
    ],
)
def test_what_is_no_report_is_refused(totals: object, said: str) -> None:
    """A document that was bent is refused with file and field."""
    with pytest.raises(InputError, match=f"^x.json.*({said})"):
        of_report({"totals": totals, "labels": []}, "x.json")


def test_a_label_that_stands_twice_is_refused() -> None:
    """Two lines of one label are no report."""
    line = {"label": "Dog", "confirmed": 1, "unreviewed": 0, "total": 1, "bands": []}
    with pytest.raises(InputError, match="'label' has to be there once"):
        of_report({"totals": line, "labels": [line, line]}, "x.json")
