"""Thresholds: how often a promise is false, how often one can be made, and how much it lets through.

Simulated labels, fixed seeds. Confidence is 80 + 20 Beta(2.2, 1.2); each model is a chance of being right at
a confidence. Every label is decided from its reviews alone by the library's own rule, and by three others:
Holm over the bands' bounds, a walk down from the strictest cut with 59 reviews, and the lowest cut whose
share right is the target, which promises nothing. A threshold is false where the share right at or above it,
known from the model, is below the target.

Then each label is looked at after every page and closed once it is settled, at a cap at the latest: how many
reviews that takes, and what can be promised then.
"""

import json
import random
import sys
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

from bulkqa.flow.statistics import binomial_tail, holm
from bulkqa.flow.thresholds import (
    ASSURANCE,
    SEQUENTIAL,
    TARGET,
    Evidence,
    Promise,
    promised_thresholds,
    settled,
    weigh,
)
from bulkqa.flow.votes import LabelRow

LABELS = 400
REVIEWS = (300, 600, 1000)
CAPS = (600, 2000)
PAGE = 25
ASKED = 40
"""Labels of each simulation at most that get the further reviews they ask for."""
SEED = 20

MODELS: dict[str, Callable[[float], float]] = {
    "flat 99 %": lambda c: 0.99,
    "flat 98 %": lambda c: 0.98,
    "flat 94.9 %, nothing is good enough": lambda c: 0.949,
    "milder: 95 % above 91": lambda c: min(0.72 + 0.015 * (c - 80), 0.995),
    "over-confident: 95 % above 96.5": lambda c: 0.0122 * c - 0.245,
    "steeply falling below 90": lambda c: 0.99 if c >= 90 else max(0.2, 0.99 - 0.2 * (90 - c)),
    "as bad everywhere, 85 %": lambda c: 0.85,
    "hopeless, 60 %": lambda c: 0.6,
}

_tail = lru_cache(maxsize=None)(binomial_tail)


def truth(model: Callable[[float], float], cuts: tuple[float, ...]) -> dict[float, tuple[float, float]]:
    """Return, for each cut, the share right at or above it and the share of items there."""
    steps = 20_000
    points = [(place + 0.5) / steps for place in range(steps)]
    density = [(80 + 20 * x, x**1.2 * (1 - x) ** 0.2) for x in points]
    whole = sum(weight for _, weight in density)
    found = {}
    for cut in cuts:
        above = [(c, weight) for c, weight in density if c >= cut]
        items = sum(weight for _, weight in above)
        found[cut] = sum(weight * model(c) for c, weight in above) / items, items / whole
    return found


def at_best(known: dict[float, tuple[float, float]]) -> float:
    """Return the share of items that the lowest true threshold lets through."""
    return max((share for right, share in known.values() if right >= TARGET), default=0.0)


def rows(
    model: Callable[[float], float], label: str, reviews: int, source: random.Random
) -> Iterator[LabelRow]:
    """Yield so many reviewed items of one label."""
    for _ in range(reviews):
        confidence = 80 + 20 * source.betavariate(2.2, 1.2)
        right = source.random() < model(confidence)
        yield LabelRow(("", label), confidence, int(right), int(not right))


def others(evidence: Evidence, label: str) -> dict[str, float | None]:
    """Return the thresholds that the other rules give a label, None where they give none."""
    cuts = evidence.cuts
    counts = {}
    for place, cut in enumerate(cuts):
        confirmed, reviewed, _ = evidence.labels[label].between(place, len(cuts))
        counts[cut] = confirmed, reviewed
    p = {cut: _tail(confirmed, reviewed, TARGET) for cut, (confirmed, reviewed) in counts.items()}
    bounds = evidence.bands[:-1]
    passed = holm([p[bound] for bound in bounds], 1 - ASSURANCE)
    walked = None
    for cut in reversed(cuts):
        if counts[cut][1] >= 59:
            if p[cut] > 1 - ASSURANCE:
                break
            walked = cut
    return {
        "Holm over the bands": next((b for b, good in zip(bounds, passed, strict=True) if good), None),
        "walk from the strictest": walked,
        "point estimate": next((c for c, (k, n) in counts.items() if n and k >= TARGET * n), None),
    }


def simulate(name: str, reviews: int) -> list[dict[str, object]]:
    """Decide `LABELS` labels of a model; return one entry for each rule."""
    model, source = MODELS[name], random.Random(f"{SEED} {name} {reviews}")
    labels = [f"{number:04d}" for number in range(LABELS)]
    evidence = weigh(row for label in labels for row in rows(model, label, reviews, source))
    known = truth(model, evidence.cuts)
    best = at_best(known)
    found: dict[str, list[float | None]] = {}
    settled = asked = bound_false = refuted = 0
    for promise in promised_thresholds(evidence):
        found.setdefault("bulkqa", []).append(promise.threshold)
        for rule, threshold in others(evidence, promise.label).items():
            found.setdefault(rule, []).append(threshold)
        if promise.threshold is not None and promise.lower_bound is not None:
            bound_false += known[promise.threshold][0] < promise.lower_bound
        refuted += promise.at_most is not None
        more = promise.more_reviews_needed
        if more is not None and more <= 5 * reviews and promise.between is not None and asked < ASKED:
            asked += 1
            low, left = promise.between[0], more
            while left:
                for row in rows(model, promise.label, 1, source):
                    if row.confidence >= low:
                        left -= 1
                    # Those below come too, as a random sample has them.
                    evidence.count(row)
            again = Evidence(evidence.bands)
            again.labels[promise.label] = evidence.labels[promise.label]
            (after,) = promised_thresholds(again)
            settled += after.threshold is not None or after.at_most is not None
    entries = []
    for rule, thresholds in found.items():
        given = [threshold for threshold in thresholds if threshold is not None]
        false = [threshold for threshold in given if known[threshold][0] < TARGET]
        through = sum(known[threshold][1] for threshold in given if known[threshold][0] >= TARGET)
        entry = {
            "model": name,
            "reviews": reviews,
            "rule": rule,
            "given": len(given) / LABELS,
            "false": len(false) / LABELS,
            "through": round(through / LABELS, 4),
            "at_best": round(best, 4),
        }
        if rule == "bulkqa":
            entry |= {"cannot_be_met": refuted / LABELS, "lower_bound_false": bound_false / LABELS}
            entry |= {"settled_by_the_reviews_asked_for": settled / asked if asked else None, "asked": asked}
        entries.append(entry)
    return entries


def close_early(name: str) -> list[dict[str, object]]:
    """Close `LABELS` labels of a model as soon as they are settled; return one entry for each cap."""
    model, source = MODELS[name], random.Random(f"{SEED} {name} early")
    known = truth(model, Evidence().cuts)
    # By cap: whether each label was settled before it, its reviews, and its promise.
    closed: dict[int, list[tuple[bool, int, Promise]]] = {cap: [] for cap in CAPS}
    for _ in range(LABELS):
        evidence, done, reviews = Evidence(), None, 0
        for cap in CAPS:
            while done is None and reviews < cap:
                for row in rows(model, "", PAGE, source):
                    evidence.count(row)
                reviews += PAGE
                done = settled(evidence, "")
            (promise,) = (done,) if done else promised_thresholds(evidence, test=SEQUENTIAL)
            closed[cap].append((done is not None, reviews, promise))
    entries: list[dict[str, object]] = []
    for cap, found in closed.items():
        given = [promise.threshold for *_, promise in found if promise.threshold is not None]
        true = [known[threshold] for threshold in given if known[threshold][0] >= TARGET]
        entries.append(
            {
                "model": name,
                "reviews": cap,
                "rule": "closing early",
                "given": len(given) / LABELS,
                "false": (len(given) - len(true)) / LABELS,
                "through": round(sum(share for _, share in true) / LABELS, 4),
                "at_best": round(at_best(known), 4),
                "cannot_be_met": sum(promise.accepts_nothing for *_, promise in found) / LABELS,
                "settled": sum(done for done, *_ in found) / LABELS,
                "mean_reviews": sum(reviews for _, reviews, _ in found) / LABELS,
            }
        )
    return entries


def run() -> list[dict[str, object]]:
    """Simulate all, print the figures, and keep them beside this file; they are no ratios to a baseline."""
    entries = []
    for name in MODELS:
        for reviews in REVIEWS:
            print(f"\n{name}, {reviews} reviews; {LABELS} labels")
            for entry in simulate(name, reviews):
                entries.append(entry)
                line = f"  {entry['rule']:<24} given {entry['given']:6.1%}  false {entry['false']:5.1%}"
                print(f"{line}  lets through {entry['through']:5.1%} of at best {entry['at_best']:5.1%}")
                if entry["rule"] == "bulkqa":
                    print(
                        f"  {'':<24} cannot be met {entry['cannot_be_met']:.1%}, lower bound too high "
                        f"{entry['lower_bound_false']:.1%}, settled by the reviews asked for "
                        f"{entry['settled_by_the_reviews_asked_for']} of {entry['asked']}"
                    )
            sys.stdout.flush()
        print(f"\n{name}, closed early; {LABELS} labels")
        for entry in close_early(name):
            entries.append(entry)
            print(
                f"  at most {entry['reviews']:>4} reviews, {entry['mean_reviews']:6.0f} on average: settled "
                f"{entry['settled']:6.1%}  given {entry['given']:6.1%}  false {entry['false']:5.1%}  "
                f"lets through {entry['through']:5.1%} of at best {entry['at_best']:5.1%}  "
                f"cannot be met {entry['cannot_be_met']:.1%}"
            )
    document = {"schema": 1, "target": TARGET, "assurance": ASSURANCE, "labels": LABELS, "results": entries}
    (Path(__file__).parent / "thresholds.json").write_text(json.dumps(document, indent=1) + "\n")
    return []
