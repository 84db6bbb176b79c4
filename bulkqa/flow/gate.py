"""The gate: may this model go out? Its metrics, slice by slice, against thresholds and a baseline.

The rules are those of TensorFlow Model Analysis (TFMA) 0.52, but where it contradicts itself
(`docs/decisions/0016-the-gate.md`). It fails closed: what cannot be looked at has not passed. A missing
metric fails, a slice that a threshold names and nobody evaluated fails the gate, and so does a gate without
any threshold.

With intervals a check passes only if its whole interval does, and fails only if its whole interval does; in
between there is not enough data, which does not pass either.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from bulkqa.errors import InputError
from bulkqa.flow.evidence import Bounds, interval_of
from bulkqa.flow.limits import (
    ChangeThreshold,
    Outcome,
    Terms,
    Threshold,
    ValueThreshold,
    describe_threshold,
    needed,
    number,
    outcome,
    ratio,
)
from bulkqa.flow.lookup import BASELINE, Found, Lookup, Place
from bulkqa.flow.slices import (
    AnySlice,
    AnySpec,
    CrossSlice,
    CrossSliceSpec,
    Finder,
    MetricKey,
    Metrics,
    Pair,
    Slice,
    SliceSpec,
    describe_spec,
)
from bulkqa.flow.statistics import Interval

NOT_FOUND = "Metric not found."
INVALID = "Invalid metrics or threshold for comparison: there is a limit for the change, but no direction."
NOT_ENOUGH = "Not enough data: "
NO_BASELINE = (
    "There are change thresholds, but the baseline is missing. "
    "This is allowed only when rubber stamping (first run)."
)


class Rule(NamedTuple):
    """One threshold on one metric, of `models` (none: of every model) and `where` (None: in every slice).

    The model in `metric` is not looked at, nor is whether it is a difference: the threshold says that.
    """

    metric: MetricKey
    threshold: Threshold
    where: AnySpec | None = None
    models: tuple[str, ...] = ()


class Gate(NamedTuple):
    """All rules; the models that have to keep them, and the name of the one they are compared with, if any.

    `cross_slices` are the pairs of slices whose difference is looked at, `slices` those that were wanted.
    """

    rules: tuple[Rule, ...]
    models: tuple[str, ...] = ("",)
    baseline: str | None = BASELINE
    cross_slices: tuple[CrossSliceSpec, ...] = ()
    slices: tuple[SliceSpec, ...] = ()


class Check(NamedTuple):
    """One threshold held against one metric in one slice, and what came of it.

    `value` is the metric, or for a change the difference to `baseline`; None where it was not found.
    """

    slice: AnySlice
    metric: MetricKey
    threshold: Threshold
    outcome: Outcome
    value: float | None = None
    baseline: float | None = None
    message: str = ""
    terms: Terms | None = None
    confidence: float | None = None

    @property
    def interval(self) -> Interval | None:
        """The interval of `value`, where intervals were asked for and there is one."""
        if self.terms is None or self.confidence is None:
            return None
        return interval_of(self.terms.own, self.confidence)

    @property
    def reason(self) -> str:
        """Why it came out so, in words.

        >>> Check((), MetricKey("auc"), ValueThreshold(lower=0.7), Outcome.FAILED, 0.62).reason
        '0.62, below the lower bound 0.7 by 0.08'
        """
        return "; ".join(part for part in (_comparison(self), self.message) if part)


class Verdict(NamedTuple):
    """What the gate says, and every check it made; one that was kept in a file has only those that failed.

    `details`: in how many slices each spec was checked. `missing_slices` and `missing_cross_slices` are specs
    named by a threshold for which no check could be made. `notes` is what else a reader should know.
    """

    ok: bool
    checks: tuple[Check, ...] = ()
    missing_thresholds: bool = False
    missing_slices: tuple[SliceSpec, ...] = ()
    missing_cross_slices: tuple[CrossSliceSpec, ...] = ()
    details: tuple[tuple[AnySpec, int], ...] = ()
    rubber_stamp: bool = False
    notes: tuple[str, ...] = ()
    confidence: float | None = None
    jointly: bool = False
    is_kept: bool = False

    @property
    def outcome(self) -> Outcome:
        """Passed; not enough data, where nothing else is wrong; else failed."""
        if self.ok:
            return Outcome.PASSED
        missing = self.missing_thresholds or self.missing_slices or self.missing_cross_slices
        kinds = {check.outcome for check in self.checks}
        lacks_data = Outcome.UNDECIDED in kinds and Outcome.FAILED not in kinds
        return Outcome.UNDECIDED if lacks_data and not missing else Outcome.FAILED

    def those(self, outcome: Outcome) -> list[Check]:
        """Return the checks with this outcome."""
        return [check for check in self.checks if check.outcome is outcome]


def judge(
    gate: Gate,
    metrics: Metrics,
    *,
    rubber_stamp: bool = False,
    confidence: float | None = None,
    jointly: bool = False,
) -> Verdict:
    """Hold metrics against a gate; return the verdict with every check.

    `rubber_stamp`: it is the first model, so that without a baseline change thresholds are left out.
    `confidence`: decide by intervals of this two-sided confidence; `jointly`: so that it holds for all
    checks at once. Raises `InputError` where a change is limited and there is no baseline, and for a
    confidence that cannot be.

    >>> from bulkqa.flow.evidence import Value
    >>> gate = Gate((Rule(MetricKey("auc"), ValueThreshold(lower=0.7)),))
    >>> good, bad = {MetricKey("auc"): Value(0.9)}, {MetricKey("auc"): Value(0.6)}
    >>> verdict = judge(gate, Metrics({(): good, (("age", 30),): bad}))
    >>> verdict.ok, [(check.slice, check.outcome.value) for check in verdict.checks]
    (False, [((), 'passed'), ((('age', 30),), 'failed')])
    """
    if confidence is not None and not 0 < confidence < 1:
        raise InputError(f"intervals at {confidence:g}: a confidence lies between 0 and 1, such as 0.95")
    if jointly and confidence is None:
        raise InputError("jointly: it is intervals that hold for all checks at once, so they are needed")
    lookup = Lookup(metrics, gate.models, gate.baseline, with_terms=confidence is not None)
    asked = _asked(gate, lookup, rubber_stamp)
    slices = list(metrics.slices)
    finder = Finder(slices)
    pairs = dict.fromkeys(pair for spec in gate.cross_slices for pair in finder.pairs(spec))
    # Two specs may cover one slice, and two weightings mean one metric: that is one check.
    times = Counter((one.metric._replace(example_weighted=None), one.threshold) for one in asked)
    made: set[tuple[Place, MetricKey, Threshold]] = set()
    names: dict[Place, AnySlice] = dict(enumerate(slices))
    names |= {(one, other): CrossSlice(slices[one], slices[other]) for one, other in pairs}
    checks: dict[Place, list[Check]] = {place: [] for place in names}
    looked_at: dict[object, set[Place]] = {}
    specs: dict[object, AnySpec] = {}
    for metric, threshold, where in asked:
        spec = SliceSpec() if where is None else where
        specs.setdefault(spec.identity, spec)
        places = looked_at.setdefault(spec.identity, set())
        find = (lookup.change if metric.is_diff else lookup.value)(metric)
        several = times[metric._replace(example_weighted=None), threshold] > 1
        for place in _covered(where, slices, finder, pairs):
            number = find(place)
            if number is not None:
                places.add(place)
            check = _check(names[place], metric, threshold, number)
            if several:
                if (place, check.metric, threshold) in made:
                    continue
                made.add((place, check.metric, threshold))
            checks[place].append(check)
    found = list(chain.from_iterable(checks.values()))
    if confidence is not None:
        found = _by_intervals(found, confidence, jointly)
    missing = [specs[identity] for identity, places in looked_at.items() if not places]
    passed = all(check.outcome is Outcome.PASSED for check in found) and not missing
    return Verdict(
        ok=passed if asked else rubber_stamp,
        checks=tuple(found),
        missing_thresholds=not asked and not rubber_stamp,
        missing_slices=tuple(spec for spec in missing if isinstance(spec, SliceSpec)),
        missing_cross_slices=tuple(spec for spec in missing if isinstance(spec, CrossSliceSpec)),
        details=tuple((specs[identity], len(places)) for identity, places in looked_at.items() if places),
        rubber_stamp=rubber_stamp,
        notes=tuple(_notes(gate, asked, missing, lookup, finder)),
        confidence=confidence,
        jointly=jointly,
    )


class _Asked(NamedTuple):
    """A rule on one model: the key of what is checked, as the verdict has it."""

    metric: MetricKey
    threshold: Threshold
    where: AnySpec | None


def _asked(gate: Gate, lookup: Lookup, rubber_stamp: bool) -> list[_Asked]:
    """Return the rules model by model, each once; without a baseline those on changes are left out."""
    rules: Sequence[Rule] = gate.rules
    if not lookup.has_baseline:
        changes = [rule.threshold for rule in rules if isinstance(rule.threshold, ChangeThreshold)]
        if any(threshold != ChangeThreshold() for threshold in changes) and not rubber_stamp:
            raise InputError(NO_BASELINE)
        rules = [rule for rule in rules if isinstance(rule.threshold, ValueThreshold)]
    found: dict[object, _Asked] = {}
    for rule in rules:
        identity = None if rule.where is None else rule.where.identity
        is_diff = isinstance(rule.threshold, ChangeThreshold)
        for model in lookup.models_of(rule.models):
            metric = rule.metric._replace(model=model, is_diff=is_diff)
            found.setdefault((metric, rule.threshold, identity), _Asked(metric, rule.threshold, rule.where))
    return list(found.values())


def _covered(
    where: AnySpec | None, slices: Sequence[Slice], finder: Finder, pairs: dict[Pair, None]
) -> Iterable[Place]:
    if where is None:
        return range(len(slices))
    if isinstance(where, SliceSpec):
        return finder.covered(where)
    return [pair for pair in finder.pairs(where) if pair in pairs]


def _check(slice: AnySlice, metric: MetricKey, threshold: Threshold, found: Found | None) -> Check:
    """Hold a number against a threshold."""
    if found is None:
        return Check(slice, metric, threshold, Outcome.FAILED, message=NOT_FOUND)
    key, value, baseline, terms = found
    message = ""
    if isinstance(threshold, ValueThreshold):
        passed = threshold.allows(value)
    elif threshold.is_valid:
        passed = threshold.allows(value, math.nan if baseline is None else baseline)
    else:
        passed, message = False, INVALID
    result = Outcome.PASSED if passed else Outcome.FAILED
    return Check(slice, key, threshold, result, value, baseline, message, terms)


def _by_intervals(checks: Iterable[Check], confidence: float, jointly: bool) -> list[Check]:
    """Decide checks by the intervals of what they look at.

    Jointly by Holm's procedure (Scandinavian Journal of Statistics 6 (1979) 65-70): with m checks open, each
    is held at 1 - (1 - confidence) / m; those decided are taken out, until no further one is. Nothing is said
    of what comes without counts, so it is not one of the m.
    """
    found = list(checks)
    left = []
    for place, check in enumerate(found):
        if check.terms and not check.message:
            why = _not_jointly(check.terms) if jointly else ""
            message = NOT_ENOUGH + why if why else ""
            found[place] = check._replace(outcome=Outcome.UNDECIDED, message=message, confidence=confidence)
            left += [place] * (not why)
    while left:
        level = 1 - (1 - confidence) / len(left) if jointly else confidence
        for place in left:
            result = outcome(found[place].threshold, found[place].terms or Terms(()), level)
            found[place] = found[place]._replace(outcome=result, confidence=level)
        undecided = [place for place in left if found[place].outcome is Outcome.UNDECIDED]
        if not jointly or len(undecided) == len(left):
            break
        left = undecided
    return [_explained(check) for check in found]


def _not_jointly(terms: Terms) -> str:
    """Say why a check cannot be one of many that hold jointly, where it cannot."""
    evidence = [term.value.evidence for term in terms.own]
    if None in evidence:
        return "no counts say how sure the value is"
    bounds = any(isinstance(one, Bounds) for one in evidence)
    return "a given interval is for one check by itself; counts can be held jointly" if bounds else ""


def _explained(check: Check) -> Check:
    if check.outcome is not Outcome.UNDECIDED or check.message or not check.terms or not check.confidence:
        return check
    return check._replace(message=NOT_ENOUGH + needed(check.threshold, check.terms, check.confidence))


def _notes(
    gate: Gate, asked: Iterable[_Asked], missing: Sequence[AnySpec], lookup: Lookup, finder: Finder
) -> Iterator[str]:
    for name in lookup.there:
        if name not in {*lookup.files.values(), gate.baseline}:
            yield f"the metrics have a model {name!r}, which the gate does not know"
    overall = SliceSpec()
    if overall in [one.where for one in asked] and overall not in missing and not finder.covered(overall):
        yield "a threshold on the overall slice was not checked: the metrics do not have it"
    for spec in gate.slices:
        if not finder.covered(spec):
            yield f"the metrics have no slice for {describe_spec(spec)}, which slicing_specs ask for"


# In words.


def _comparison(check: Check) -> str:
    """Return a check's numbers in words."""
    value, threshold, ends = check.value, check.threshold, check.interval
    if value is None:
        return ""
    sure = ""
    if ends is not None and check.confidence is not None:
        sure = f" ({number(ends[0])} to {number(ends[1])} at {check.confidence:.4g})"
    if math.isnan(value):
        return f"undefined (NaN){sure}, which passes no threshold"
    if isinstance(threshold, ChangeThreshold):
        return f"{_change(value, check.baseline, threshold, sure)}, {describe_threshold(threshold)} is asked"
    lower, upper = threshold
    if lower is not None and value < lower:
        return f"{_apart(value, lower, sure, 'below the lower bound')}"
    if upper is not None and value > upper:
        return f"{_apart(value, upper, sure, 'above the upper bound')}"
    return f"{number(value)}{sure}, {describe_threshold(threshold)} is asked"


def _apart(value: float, bound: float, sure: str, words: str) -> str:
    """Return a value beyond a bound in words, with all digits where six do not tell them apart."""
    shown, limit = number(value), number(bound)
    if shown == limit:
        shown, limit = repr(value), repr(bound)
    return f"{shown}{sure}, {words} {limit} by {abs(value - bound):.3g}"


def _change(value: float, baseline: float | None, threshold: ChangeThreshold, sure: str) -> str:
    if baseline is None:
        return f"changed by {number(value)}{sure}"
    share = ""
    if threshold.relative is not None:
        of = ratio(value, baseline)
        share = " (undefined, as it is 0)" if math.isnan(of) else f" ({100 * of:+.4g}%)"
    return f"changed by {number(value)}{sure} from {number(baseline)}{share}"
