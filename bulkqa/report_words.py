"""The report in words: its numbers as people read them, and what they come to."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Document = Mapping[str, Any]

WIDE = 0.2
"""An interval wider than this is called so."""


def percent(share: float | None) -> str:
    """Return a share with one decimal; what is not all is never shown as all, nor as nothing.

    >>> percent(0.9643), percent(1), percent(0.99961), percent(0.0001), percent(None)
    ('96.4%', '100%', '>99.9%', '<0.1%', '–')
    """
    if share is None:
        return "–"
    if share in (0, 1):
        return f"{share:.0%}"
    text = f"{share:.1%}"
    return {"100.0%": ">99.9%", "0.0%": "<0.1%"}.get(text, text)


def interval(ends: Sequence[float] | None, sign: str = "%") -> str:
    """Return an interval of a share in percent, or nothing.

    >>> interval([0.727, 0.9434]), interval([-0.101, 0.051], " points"), interval(None)
    ('72.7–94.3%', '−10.1 to 5.1 points', '')
    """
    if ends is None:
        return ""
    low, high = (
        f"{100 * end:.1f}".replace("-", "−") if end not in (0, 1) else f"{100 * end:.0f}" for end in ends
    )
    return f"{low} to {high}{sign}" if ends[0] < 0 else f"{low}–{high}{sign}"


def count(of: float, what: str, many: str | None = None) -> str:
    """Return a number with its noun.

    >>> count(1, "item"), count(1200, "item"), count(2, "child", "children")
    ('1 item', '1,200 items', '2 children')
    """
    return f"{number(of)} {what if of == 1 else many or what + 's'}"


def number(value: float | None, digits: int | None = None) -> str:
    """Return a number with separators, a fraction with so many digits or as short as it can be.

    >>> number(1200), number(41.5), number(0.0449, 3), number(-0.026, 3), number(None)
    ('1,200', '41.5', '0.045', '−0.026', '–')
    """
    if value is None:
        return "–"
    text = f"{value:,}" if isinstance(value, int) else f"{value:,.10g}"
    return (text if digits is None else f"{value:,.{digits}f}").replace("-", "−")


def signed(share: float | None) -> str:
    """Return a difference of shares in points.

    >>> signed(-0.026), signed(0.1), signed(None)
    ('−2.6', '+10.0', '–')
    """
    return "–" if share is None else f"{100 * share:+.1f}".replace("-", "−")


def is_wide(ends: Sequence[float] | None) -> bool:
    """Say whether an interval leaves more open than it tells.

    >>> is_wide([0.7, 0.95]), is_wide([0.9, 0.95]), is_wide(None)
    (True, False, False)
    """
    return ends is not None and ends[1] - ends[0] > WIDE


def summary(document: Document) -> dict[str, list[str]]:
    """Return what the document says: what was reviewed, how right it is, and what stays uncertain."""
    return {
        "What was reviewed": list(_reviewed(document)),
        "How right the labels are": list(_right(document)),
        "What is uncertain": list(_uncertain(document)),
    }


def _reviewed(document: Document) -> Iterator[str]:
    totals, lowest = document["totals"], document["bands"][0][0]
    above = f" at a confidence of {number(lowest)} or more" if lowest else ""
    if not totals["total"]:
        yield f"There is no item{above}."
    else:
        done = totals["total"] - totals["unreviewed"]
        every = (
            f"{number(done)} of them ({percent(done / totals['total'])})"
            if totals["unreviewed"]
            else "All of them"
        )
        yield (
            f"{count(totals['total'], 'item')}, each an image with one of "
            f"{count(len(document['labels']), 'label')}{above}. {every} have been reviewed."
        )
    if closed := (document["reconciliation"] or {}).get("closed"):
        have = "has" if closed == 1 else "have"
        yield f"{count(closed, 'item')} {have} not been asked for: the labels were closed early."
    if document["below"]:
        yield f"{count(document['below'], 'more item')} below {number(lowest)} stand in none of the figures."
    if reviewers := document["reviewers"]:
        votes = sum(one["items"] + one["cannot_judge"] for one in reviewers)
        yield f"{count(len(reviewers), 'reviewer')} gave {count(votes, 'vote')}."


def _right(document: Document) -> Iterator[str]:
    totals = document["totals"]
    if totals["correct"] is None:
        yield "Nothing has been reviewed yet, so nothing is known."
        return
    reviewed = totals["total"] - totals["unreviewed"]
    yield (
        f"{number(totals['confirmed'])} of {count(reviewed, 'reviewed item')} confirmed: "
        f"{percent(totals['correct'])} right as clicked (95% interval {interval(totals['interval'])})."
    )
    if corrected := totals.get("corrected"):
        yield (
            "With the reviewers' own misses and false alarms taken out, as the known-answer items tell them: "
            f"{percent(corrected['correct'])} ({interval(corrected['interval'])})."
        )
    if weighted := totals.get("weighted"):
        yield (
            f"Weighted up to the corpus, of which a sample was reviewed: {percent(weighted['correct'])} "
            f"({interval(weighted['interval'])}), for the {percent(weighted['covered'])} of it in bands with "
            "a review."
        )
    known = [line for line in document["labels"] if line["correct"] is not None]
    if len(known) > 1:
        best, worst = (pick(known, key=lambda line: line["correct"]) for pick in (max, min))
        apart = best["interval"][0] > worst["interval"][1]
        yield (
            f"Most often right: {best['label']}, {percent(best['correct'])} ({interval(best['interval'])}); "
            f"least often: {worst['label']}, {percent(worst['correct'])} ({interval(worst['interval'])})"
            f"{'' if apart else ': too close to tell apart'}."
        )
    if (confusion := document.get("confusion")) and (pairs := confusion["most_confused"]):
        first = pairs[0]
        yield (
            f"Mistaken most often: {first['ground_truth']} for {first['predicted']}, "
            f"{count(round(first['items'], 1), 'item')}."
        )
    if (thresholds := document["thresholds"]) and (entries := thresholds["thresholds"]):
        held = [one for one in entries if one["supported"] and not one["accepts_nothing"]]
        some = ", ".join(f"{one['label']} from {number(one['threshold'])}" for one in held[:5])
        more = f" and {number(len(held) - 5)} more" if len(held) > 5 else ""
        if held:
            yield f"{number(len(held))} of {count(len(entries), 'label')} may be used unseen: {some}{more}."
        else:
            yield "No label may be used unseen yet, at any confidence."


def _uncertain(document: Document) -> Iterator[str]:
    totals = document["totals"]
    # Items below the bands are reconciled too: with any of these the numbers do not compare.
    fates = {} if document["below"] else document["reconciliation"] or {}
    if left := totals["unreviewed"] - fates.get("closed", 0):
        text = f"{count(left, 'item has', 'items have')} no vote that judges"
        unable = fates.get("cannot_judge", 0)
        yield f"{text}, {number(unable)} because nobody could tell." if unable else f"{text}."
    if totals["split"]:
        yield (
            f"The reviewers disagree on {count(totals['split'], 'item')}, which here count as wrong until "
            "somebody decides (bulkqa adjudicate)."
        )
    cells = [band for line in document["labels"] for band in line["bands"] if band["total"]]
    blank = sum(band["correct"] is None for band in cells)
    wide = sum(is_wide(band["interval"]) for band in cells)
    if blank or wide:
        texts = [f"{number(blank)} without any review"] if blank else []
        texts += [f"{number(wide)} with an interval wider than {100 * WIDE:.0f} points"] if wide else []
        yield f"The table below has {count(len(cells), 'cell')} with items, {' and '.join(texts)}."
    if thresholds := document["thresholds"]:
        entries = thresholds["thresholds"]
        missing = [one for one in entries if one["threshold"] is None and not one["accepts_nothing"]]
        if missing:
            yield f"For {count(len(missing), 'label')} no threshold can be promised yet; see what is missing."
    if totals["correct"] is not None and document["checks"] is None:
        yield "What the reviewers overlooked is not known: there were no known-answer items."


def unknowns(confusion: Document) -> list[str]:
    """Return what a job's confusion matrix holds, and what it does not know.

    >>> unknown = [{"label": "Dog", "rejected": 2, "split": 1}]
    >>> unknowns({"reviewed": 9, "unreviewed": 0, "weighted": False, "unknown": unknown})[0]
    'Of 9 reviewed items 6 have a true label.'
    """
    rejected, split = (sum(one[key] for one in confusion["unknown"]) for key in ("rejected", "split"))
    reviewed, unreviewed = confusion["reviewed"], confusion["unreviewed"]
    left = rejected + split
    found = [f"Of {count(reviewed, 'reviewed item')} {number(reviewed - left)} have a true label."]
    if left:
        found.append(
            f"{count(left, 'other stands', 'others stand')} in no cell: {number(rejected)} rejected, not "
            f"found to be anything else yet (bulkqa relabel), and {number(split)} split (bulkqa adjudicate). "
            "Whatever they are, each share stays within its range."
        )
    if unreviewed:
        found.append(f"{count(unreviewed, 'more item is', 'more items are')} not reviewed.")
    if confusion["weighted"]:
        found.append(
            "Labels or bands were reviewed at different rates, so an item counts as many as it stands for, "
            "and the numbers of items are estimates."
        )
    return found
