from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkqa.flow.answers import Answer, Decision, Problem, read_answer
from bulkqa.flow.tasks import item_name, item_number

CONFIRM, DISCONFIRM, CANNOT = Decision.CONFIRM, Decision.DISCONFIRM, Decision.CANNOT_JUDGE
YES = {"Confirmed": True}
NO = {"Confirmed": False}

Names = Callable[[int], str]


def answer_of(decisions: Mapping[int, bool], name: Names = item_name) -> dict[str, object]:
    """Return the answer that a page gives for these pictures."""
    return {name(number): {"Confirmed": confirmed} for number, confirmed in decisions.items()}


def original_name(number: int) -> str:
    """Return the name that the original sample gives a picture."""
    return f"Stop sign-{number}"


ORDERS: dict[str, Callable[[list[str]], list[str]]] = {
    "as it stands": list,
    "sorted": sorted,
    "reversed": lambda names: names[::-1],
    "shuffled": lambda names: random.Random(3).sample(names, len(names)),
}


@pytest.mark.parametrize("name", [item_name, original_name], ids=["ours", "original"])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("as_text", [True, False], ids=["text", "decoded"])
def test_order_of_names_never_matters(name: Names, order: str, as_text: bool) -> None:
    """Of 25 pictures the one rejected is the one named, in whatever order the names come."""
    answer = answer_of({number: number != 2 for number in range(25)}, name)
    ordered = {key: answer[key] for key in ORDERS[order](list(answer))}
    found = read_answer(json.dumps(ordered) if as_text else ordered, 25)
    assert found == Answer({n: DISCONFIRM if n == 2 else CONFIRM for n in range(25)})
    assert list(found.decisions) == list(range(25))


def test_list_of_one_object() -> None:
    """A list of one object is read as that object, as the crowd elements' manual prints answers."""
    assert read_answer('[{"item-000": {"Confirmed": true}}]', 1) == Answer({0: CONFIRM})


def test_missing_items() -> None:
    """A picture without an answer is reported as missing, and the others count."""
    assert read_answer(answer_of({0: True, 2: False}), 4) == Answer(
        {0: CONFIRM, 2: DISCONFIRM}, (Problem("item-001", "missing"), Problem("item-003", "missing"))
    )


@pytest.mark.parametrize(
    "name",
    [
        "comment",
        "",
        "item",
        "item-002",
        "Dog-99",
        "item-٠",
        "item-0 ",
        "__proto__",
        "constructor",
        "<script>alert(1)</script>",
        "item-000' OR 1=1",
        "../../etc/passwd",
        "answer",
        "\0",
    ],
)
@pytest.mark.parametrize("value", ["text", YES, None, [YES]])
def test_unknown_names(name: str, value: object) -> None:
    """A name that stands for no picture of the page is reported as unknown, and the others count."""
    answer = {name: value} | answer_of({0: True, 1: False})
    expected = Answer({0: CONFIRM, 1: DISCONFIRM}, (Problem(name, "unknown"),))
    assert read_answer(answer, 2) == read_answer(json.dumps(answer), 2) == expected


@pytest.mark.parametrize("value", ["", "took 30 s", {"seconds": 30}, [0, 1], YES, None])
def test_meta_is_ignored(value: object) -> None:
    """The page's own notes are neither a decision nor a problem, whatever they hold."""
    assert read_answer({"meta": value} | answer_of({0: True}), 1) == Answer({0: CONFIRM})


def test_two_names_for_one_picture() -> None:
    """A picture that two names stand for has no decision: both names are reported as doubled."""
    answer = {"item-000": YES, "Dog-0": NO, "item-001": YES}
    assert read_answer(answer, 2) == Answer(
        {1: CONFIRM}, (Problem("item-000", "doubled"), Problem("Dog-0", "doubled"))
    )


def test_two_names_that_agree() -> None:
    """A picture that two names stand for has no decision even where they agree."""
    assert read_answer({"item-000": YES, "Dog-00": YES}, 1).decisions == {}


def test_same_name_twice() -> None:
    """A name that JSON text holds twice is reported as doubled, not settled by the last one."""
    text = (
        '{"item-000": {"Confirmed": true}, "item-001": {"Confirmed": true}, "item-000": {"Confirmed": false}}'
    )
    assert read_answer(text, 2) == Answer(
        {1: CONFIRM}, (Problem("item-000", "doubled"), Problem("item-000", "doubled"))
    )


@pytest.mark.parametrize(
    "spelt",
    [
        "true",
        "null",
        "1",
        '"true"',
        "[]",
        '[{"Confirmed": true}]',
        "{}",
        '{"confirmed": true}',
        '{"on": true}',
        '{"Confirmed": "true"}',
        '{"Confirmed": null}',
        '{"Confirmed": 1}',
        '{"Confirmed": 0}',
        '{"Confirmed": [true]}',
        '{"Confirmed": true, "CannotJudge": "true"}',
        '{"Confirmed": true, "CannotJudge": null}',
        '{"Confirmed": true, "CannotJudge": 1}',
        '{"CannotJudge": false}',
        '{"Confirmed": true, "Confirmed": false}',
    ],
)
def test_malformed_values(spelt: str) -> None:
    """A value that is no object with booleans is malformed and never guessed at, and the others count."""
    text = f'{{"item-001": {spelt}, "item-000": {{"Confirmed": false}}}}'
    assert read_answer(text, 2) == Answer(
        {0: DISCONFIRM}, (Problem("item-001", "malformed"), Problem("item-001", "missing"))
    )


@pytest.mark.parametrize(
    ("value", "decision"),
    [
        ({"Confirmed": True}, CONFIRM),
        ({"Confirmed": False}, DISCONFIRM),
        ({"Confirmed": True, "CannotJudge": False}, CONFIRM),
        ({"Confirmed": False, "CannotJudge": False}, DISCONFIRM),
        ({"Confirmed": True, "CannotJudge": True}, CANNOT),
        ({"Confirmed": False, "CannotJudge": True}, CANNOT),
        ({"CannotJudge": True}, CANNOT),
        ({"Confirmed": "?", "CannotJudge": True}, CANNOT),
        ({"Confirmed": True, "comment": "blurred"}, CONFIRM),
        ({"Confirmed": False, "suggestion": "Cat", "more": None}, DISCONFIRM),
    ],
)
def test_decisions(value: dict[str, object], decision: Decision) -> None:
    """`CannotJudge` wins over `Confirmed`, and further fields of a value change nothing."""
    assert read_answer({"item-000": value}, 1) == Answer({0: decision})
    assert read_answer(json.dumps({"item-000": value}), 1) == Answer({0: decision})


@pytest.mark.parametrize(
    "text",
    ["", "no JSON", "{", "null", "7", '"text"', "[]", "[1]", "[{}, {}]", "[[{}]]", "[" * 100_000, "9" * 5000],
    ids=lambda text: text[:9],
)
def test_text_that_is_no_answer(text: str) -> None:
    """An answer that is no JSON object counts for nothing and has one problem."""
    assert read_answer(text, 2) == Answer({}, (Problem("answer", "malformed"),))


def test_empty_answer() -> None:
    """An empty object is an answer in which every picture is missing."""
    assert read_answer("{}", 2) == Answer(
        {}, (Problem("item-000", "missing"), Problem("item-001", "missing"))
    )


def test_megabyte_of_junk() -> None:
    """A megabyte of junk names is reported name by name, and the decisions beside it count."""
    junk = {f"junk {n:06d} {'x' * 90}": YES for n in range(10_000)}
    answer = answer_of({0: True, 1: False})
    found = read_answer(json.dumps(junk | answer), 2)
    assert found.decisions == {0: CONFIRM, 1: DISCONFIRM}
    assert [problem.reason for problem in found.problems] == ["unknown"] * 10_000
    assert found.problems[17].name.startswith("junk 000017 x")


def test_names_in_problems_are_short() -> None:
    """A problem shows 80 characters of a name at most."""
    (shown,) = read_answer({"x" * 1_000_000: YES}, 0).problems
    assert shown == Problem("x" * 79 + "…", "unknown")
    (whole,) = read_answer({"x" * 80: YES}, 0).problems
    assert whole == Problem("x" * 80, "unknown")


def test_names_in_problems_are_writable() -> None:
    """A problem's name can be written as UTF-8, whatever JSON spelt."""
    (problem,) = read_answer('{"\\ud800": 1}', 0).problems
    assert problem.name.encode()


def test_huge_number_spoils_nothing_else() -> None:
    """A number longer than Python reads is a problem of its own name, and the decisions beside it count."""
    text = '{"item-000": {"Confirmed": true}, "junk": ' + "9" * 5000 + "}"
    assert read_answer(text, 1) == Answer({0: CONFIRM}, (Problem("junk", "unknown"),))


# What holds for any answer.

SIZE = 8
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just(YES)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["Confirmed", "CannotJudge", "x"]), inner, max_size=3),
    ),
    max_leaves=6,
)
names = st.one_of(
    st.text(max_size=10),
    st.integers(0, 20).map(item_name),
    st.integers(0, 20).map("Dog-{}".format),
    st.just("meta"),
)
junk_parts = st.lists(st.tuples(names, json_values), max_size=6)
full_answers = st.lists(st.booleans(), min_size=SIZE, max_size=SIZE).map(
    lambda d: answer_of(dict(enumerate(d)))
)


@given(full_answers, junk_parts, st.integers(0, 1000))
def test_junk_changes_no_other_item(
    answer: dict[str, object], junk: list[tuple[str, object]], order: int
) -> None:
    """Junk among the parts of an answer never changes the decision on an item that it does not name."""
    parts = [*answer.items(), *junk]
    random.Random(order).shuffle(parts)
    text = "{" + ", ".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in parts) + "}"
    named = {item_number(name) for name, _ in junk}
    clean, found = read_answer(answer, SIZE).decisions, read_answer(text, SIZE).decisions
    assert {n: found.get(n) for n in clean if n not in named} == {
        n: d for n, d in clean.items() if n not in named
    }


@given(junk_parts.map(dict), st.integers(0, SIZE))
def test_text_and_decoded_read_the_same(answer: dict[str, object], size: int) -> None:
    """An answer reads the same decoded and as JSON text, also as a list of one."""
    text = json.dumps(answer)
    assert read_answer(answer, size) == read_answer(text, size) == read_answer(f"[{text}]", size)


@given(
    st.one_of(st.text(), json_values.map(json.dumps), st.text(alphabet='[]{}",:0123eE.-tfn ')),
    st.integers(0, 5),
)
def test_reading_never_raises(text: str, size: int) -> None:
    """Any text is read: every picture has one decision or a problem, and none beyond the page."""
    found = read_answer(text, size)
    assert set(found.decisions) <= set(range(size))
    if found.problems[:1] != (Problem("answer", "malformed"),):
        missing = {item_number(problem.name) for problem in found.problems}
        assert all(number in found.decisions or number in missing for number in range(size))
