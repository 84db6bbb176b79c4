from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkqa.errors import InputError
from bulkqa.flow.batches import Batch, make_batches, plan_batches
from bulkqa.flow.corpus import Item, Row
from bulkqa.flow.mixing import Candidate, Chosen, Known, Mixer, Pool, Standing, read_known
from bulkqa.flow.records import Rejected


def read(text: str) -> list[Known | Rejected]:
    """What a file of known answers holds."""
    return list(read_known(text.encode().splitlines(keepends=True), "checks"))


def pool_of(*truths: tuple[str, str], seed: int = 0) -> Pool:
    """A pool of (image, true label)."""
    pool = Pool(seed)
    for image, label in truths:
        pool.add(image, label, Standing.RIGHT)
    return pool


def images(candidates: Iterable[Candidate]) -> list[str]:
    """The images of candidates."""
    return [candidate.image for candidate in candidates]


# Reading.


def test_a_file_of_known_answers() -> None:
    """Image and true label are read as in a corpus; `wrong_for` names labels, or none for any."""
    assert read("label,wrong_for,image\nDog,Wolf|Fox,a.jpg\nDog,,b.jpg\n") == [
        Known(Row(2, Item("a.jpg", "Dog", 100)), frozenset({"Wolf", "Fox"})),
        Known(Row(3, Item("b.jpg", "Dog", 100)), None),
    ]
    assert read("image_local_path,label\na.jpg,Dog\n") == [Known(Row(2, Item("a.jpg", "Dog", 100)), None)]
    lines = (
        '{"image": "a.jpg", "label": "Dog"}\n{"image": "b.jpg", "label": "Dog", "wrong_for": []}\n'
        '{"image": "c.jpg", "label": "Dog", "wrong_for": ["a|b"]}\n'
        '{"image": "d.jpg", "label": "Dog", "wrong_for": null}\n'
    )
    found = [known.wrong_for for known in read(lines) if isinstance(known, Known)]
    assert found == [None, frozenset(), frozenset({"a|b"}), None]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("../a.jpg,Dog,", "climbs out"),
        (",Dog,", "image is empty"),
        ("a.jpg,,", "label is empty"),
        ("a.jpg,Dog", "2 fields where the header has 3"),
        ("a.jpg,Dog,Cat|Dog", "wrong_for holds the true label 'Dog'"),
    ],
)
def test_rows_that_cannot_be_used(row: str, reason: str) -> None:
    """A bad row is rejected with its line and reason, and the next one is read."""
    bad, good = read(f"image,label,wrong_for\n{row}\nb.jpg,Cat,\n")
    assert isinstance(bad, Rejected)
    assert bad.line == 2
    assert reason in bad.reason
    assert isinstance(good, Known)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"label": "Dog"}', "field 'image_local_path' is missing"),
        ('{"image": 7, "label": "Dog"}', "field 'image' is no text"),
        ('{"image": "a.jpg"}', "field 'label' is missing"),
        ('{"image": "a.jpg", "label": "Dog", "wrong_for": "Cat"}', "field 'wrong_for' is no list of labels"),
        ('{"image": "a.jpg", "label": "Dog", "wrong_for": [""]}', "field 'wrong_for' is no list of labels"),
        ('{"image": "a.jpg", "label": "Dog", "wrong_for": ["Dog"]}', "wrong_for holds the true label 'Dog'"),
    ],
)
def test_lines_that_cannot_be_used(line: str, reason: str) -> None:
    """A bad line of JSON is rejected with its reason."""
    assert read(line) == [Rejected(1, reason)]


@pytest.mark.parametrize("text", ["", "image,name\na.jpg,Dog\n", "image,label,wrong_for,wrong_for\n"])
def test_files_that_cannot_be_read(text: str) -> None:
    """A file without the columns is refused as a whole."""
    with pytest.raises(InputError, match="checks"):
        read(text)


# Choosing from what is known.


def test_who_may_stand_on_a_page() -> None:
    """Known-right is a picture of the label, known-wrong one of another; never what is or may be both."""
    pool = pool_of(("dog", "Dog"), ("cat", "Cat"), ("both", "Dog"), ("both", "Cat"), ("perhaps", "Cat"))
    pool.add("perhaps", "Dog", Standing.OPEN)
    pool.add("no dog", "Dog", Standing.WRONG)
    assert set(images(pool.candidates("Dog", "right", 9))) == {"dog", "both"}
    assert images(pool.candidates("Dog", "wrong", 9)) == ["cat"]
    assert set(images(pool.candidates("Fox", "wrong", 9))) == {"dog", "cat", "both", "perhaps"}
    assert pool.candidates("Fox", "right", 9) == []
    assert pool.size == 5


def test_an_item_of_the_label_is_never_a_check_of_it() -> None:
    """A picture that is an item of a label in the job stands on none of its pages as a known answer."""
    pool = pool_of(("dog", "Dog"), ("cat", "Cat"))
    pool.exclude([("dog", "Dog"), ("cat", "Dog"), ("elsewhere", "Dog")])
    assert pool.candidates("Dog", "right", 9) == pool.candidates("Dog", "wrong", 9) == []
    assert images(pool.candidates("Cat", "wrong", 9)) == ["dog"]
    assert images(pool.candidates("Cat", "right", 9)) == ["cat"]


def test_the_likeliest_mistakes_come_first() -> None:
    """First what was rejected under the label itself, then its class, then what names the label, then any."""
    pool = pool_of(*((f"wolf {n}", "Wolf") for n in range(3)), *((f"fox {n}", "Fox") for n in range(9)))
    pool.add("wolf 1", "Dog", Standing.WRONG)
    pool.add("car", "Car", Standing.RIGHT, wrong_for=frozenset({"Dog"}))
    pool.add("bus", "Bus", Standing.RIGHT, wrong_for=frozenset({"Car"}))
    found = images(pool.candidates("Dog", "wrong", 99))
    assert found[0] == "wolf 1"
    assert set(found[1:3]) == {"wolf 0", "wolf 2"}
    assert found[3] == "car"
    assert set(found[4:]) == {f"fox {n}" for n in range(9)}
    assert images(pool.candidates("Dog", "wrong", 2)) == found[:2]


def test_the_class_most_often_mistaken_comes_first() -> None:
    """Of two classes that rejected pictures turned out to be of, the more frequent one goes first."""
    truths = [(f"fox {n}", "Fox") for n in range(4)] + [(f"wolf {n}", "Wolf") for n in range(4)]
    pool = pool_of(*truths)
    for image in ("wolf 0", "wolf 1", "fox 0"):
        pool.add(image, "Dog", Standing.WRONG)
    found = images(pool.candidates("Dog", "wrong", 99))
    assert set(found[:3]) == {"wolf 0", "wolf 1", "fox 0"}
    assert set(found[3:5]) == {"wolf 2", "wolf 3"}


def test_those_used_least_come_first() -> None:
    """A picture that was used comes after all that were used less, whatever else speaks for it."""
    pool = pool_of(("wolf", "Wolf"), ("fox", "Fox"), ("car", "Car"))
    pool.add("wolf", "Dog", Standing.WRONG)
    wolf, *others = pool.candidates("Dog", "wrong", 9)
    pool.use({wolf: 2, others[0]: 1})
    assert pool.candidates("Dog", "wrong", 9) == [others[1], others[0], wolf]


def test_a_doubled_row_is_rejected() -> None:
    """A label that a file gives a picture twice is known once, and the second row is named."""
    rows = [Known(Row(line, Item("a.jpg", "Dog", 100)), None) for line in (2, 5)]
    with Pool(0) as pool:
        pool.add_file([("a.jpg", rows[0]), Rejected(3, "bad"), ("a.jpg", rows[1])])
        assert pool.size == 1
        lines = [(bad.line, bad.reason.partition(":")[0]) for bad in pool.rejected()]
    assert lines == [(3, "bad"), (5, "duplicate of line 2")]


# How many, and where.


@pytest.mark.parametrize("rate", [-0.01, 0.51, float("nan")])
def test_rates_that_cannot_be(rate: float) -> None:
    """A rate outside 0 to a half is refused."""
    with pytest.raises(InputError, match="check rate"):
        Mixer(rate, 25, 0)


def test_the_share_of_known_answers_is_the_rate() -> None:
    """Full pages have the whole number below or above rate times size, and in the mean just that."""
    mixer = Mixer(0.05, 25, seed=3)
    rooms = Counter(mixer.room(number) for number in range(4000))
    assert rooms.keys() == {1, 2}
    assert rooms[2] / 4000 == pytest.approx(0.25, abs=0.02)


def test_short_pages_have_their_share() -> None:
    """A page of two items in twenty-five places has a known answer about every tenth time."""
    mixer = Mixer(0.05, 25, seed=3)
    places = [mixer.places(number, 2) for number in range(4000)]
    assert sum(places) / 4000 == pytest.approx(2 * 0.05 / 0.95, abs=0.02)


@given(
    rate=st.floats(0, 0.5),
    size=st.integers(1, 100),
    seed=st.integers(-(2**63), 2**63 - 1),
    of_label=st.dictionaries(st.sampled_from("ABC"), st.integers(1, 300)),
)
def test_no_page_is_larger_than_it_may_be(
    rate: float, size: int, seed: int, of_label: dict[str, int]
) -> None:
    """Every page has an item, at most its size with the known answers, and all items are on one page."""
    mixer = Mixer(rate, size, seed)
    planned = list(plan_batches(of_label, size, mixer.room))
    items = [Item(str(n), label, 99) for label in sorted(of_label) for n in range(of_label[label])]
    batches = list(make_batches(items, size, mixer.room))
    assert [item for batch in batches for item in batch.items] == items
    assert [(batch.number, batch.label, len(batch.items)) for batch in batches] == planned
    for number, _, on_page in planned:
        assert on_page >= 1
        assert 0 <= mixer.places(number, on_page) <= size - on_page
    for (number, label, on_page), (_, after, _) in pairwise(planned):
        if label == after:  # a full page
            assert on_page + mixer.places(number, on_page) == size
            assert mixer.places(number, on_page) == min(size - 1, int(rate * size)) or (
                mixer.places(number, on_page) == int(rate * size) + 1
            )


truths = st.lists(
    st.tuples(st.integers(0, 30).map(str), st.sampled_from("ABCD"), st.sampled_from(Standing)), max_size=40
)
plans = st.dictionaries(st.sampled_from("ABC"), st.integers(1, 60), min_size=1)


@given(truths=truths, of_label=plans, size=st.integers(1, 12), rate=st.floats(0, 0.5), seed=st.integers(0, 9))
def test_what_stands_on_pages(
    truths: list[tuple[str, str, Standing]], of_label: dict[str, int], size: int, rate: float, seed: int
) -> None:
    """Each check is what it says, none is twice on a page, and the same seed chooses the same."""

    def choose(order: list[tuple[str, str, Standing]]) -> list[tuple[Chosen, ...]]:
        with Pool(seed) as pool:
            for truth in order:
                pool.add(*truth)
            return list(mixer.choose(pages, pool))

    known = {(image, label): standing for image, label, standing in reversed(truths)}
    once = [(image, label, standing) for (image, label), standing in known.items()]
    mixer = Mixer(rate, size, seed)
    pages = list(plan_batches(of_label, size, mixer.room))
    chosen = choose(once)
    assert choose(once[::-1]) == chosen
    assert len(chosen) == len(pages)
    for (number, label, items), some in zip(pages, chosen, strict=True):
        assert len(some) <= mixer.places(number, items)
        assert len({one.candidate.picture for one in some}) == len(some)
        for check, (picture, _, true) in some:
            assert known[picture, true] is Standing.RIGHT
            assert (check == "right") == (true == label)
            if check == "wrong":
                assert known.get((picture, label), Standing.WRONG) is Standing.WRONG


@given(
    wrong=st.integers(0, 12),
    right=st.integers(0, 12),
    items=st.integers(1, 400),
    size=st.integers(2, 10),
    rate=st.floats(0.05, 0.5),
    seed=st.integers(0, 99),
)
def test_none_is_used_again_before_all_were(
    wrong: int, right: int, items: int, size: int, rate: float, seed: int
) -> None:
    """Where there are enough for a page, the numbers of times that they are used differ by one at most."""
    known = [(f"w{n}", "Cat") for n in range(wrong)] + [(f"r{n}", "Dog") for n in range(right)]
    mixer = Mixer(rate, size, seed)
    pages = list(plan_batches({"Dog": items}, size, mixer.room))
    with pool_of(*known, seed=seed) as pool:
        chosen = list(mixer.choose(pages, pool))
    uses = Counter({picture: 0 for picture, _ in known})
    uses.update(one.candidate.picture for some in chosen for one in some)
    if known and len(known) >= 2 * size:
        assert max(uses.values()) - min(uses.values()) <= 1
    # As many as there are places, unless there are not as many pictures.
    for (number, _, on_page), some in zip(pages, chosen, strict=True):
        assert len(some) == min(mixer.places(number, on_page), len(known))


@given(items=st.integers(1, 400), seed=st.integers(0, 99))
def test_half_are_wrong(items: int, seed: int) -> None:
    """With enough of both, known-wrong and known-right items are as many, give or take one."""
    known = [(f"w{n}", "Cat") for n in range(200)] + [(f"r{n}", "Dog") for n in range(200)]
    mixer = Mixer(0.2, 10, seed)
    with pool_of(*known) as pool:
        checks = Counter(
            one.check
            for some in mixer.choose(plan_batches({"Dog": items}, 10, mixer.room), pool)
            for one in some
        )
    assert abs(checks["wrong"] - checks["right"]) <= 1


@given(size=st.integers(1, 30), checks=st.integers(0, 5), number=st.integers(0, 1000))
def test_a_mixed_page(size: int, checks: int, number: int) -> None:
    """A page has all its items in their order, the known answers among them, in no other clothes."""
    batch = Batch(number, "Dog", tuple(Item(f"{n}", "Dog", 80 + n / 2) for n in range(size)))
    chosen = [Chosen("wrong", Candidate(f"c{n}", f"c{n}", "Cat")) for n in range(checks)]
    page = Mixer(0.2, 40, 0).mix(batch, chosen)
    assert [item[:3] for item in page if item.check is None] == list(batch.items)
    assert sorted(item.image for item in page if item.check) == sorted(f"c{n}" for n in range(checks))
    assert {item.label for item in page} == {"Dog"}
    assert {item.confidence for item in page} == {item.confidence for item in batch.items}
    assert {(item.check, item.source_label) for item in page} <= {(None, None), ("wrong", "Cat")}


def test_every_place_is_as_likely() -> None:
    """Over many pages a known answer stands in each of ten places about every tenth time."""
    mixer, places = Mixer(0.1, 10, 1), Counter[int]()
    chosen = [Chosen("wrong", Candidate("c", "c", "Cat"))]
    for number in range(5000):
        batch = Batch(number, "Dog", tuple(Item(f"{n}", "Dog", 90) for n in range(9)))
        places[[item.check for item in mixer.mix(batch, chosen)].index("wrong")] += 1
    assert places.keys() == set(range(10))
    assert all(400 < times < 600 for times in places.values())
