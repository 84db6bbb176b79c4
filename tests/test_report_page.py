"""The report as a page: every number of its document, nothing from elsewhere, and pictures within limits."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from html.parser import HTMLParser
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkqa.errors import InputError, NotFoundError
from bulkqa.flow.bands import Bands
from bulkqa.flow.examples import CellExamples
from bulkqa.flow.report import tabulate
from bulkqa.flow.rounds import Final, How
from bulkqa.flow.votes import LabelRow, Outcome
from bulkqa.local.pictures import find_in
from bulkqa.report_page import DRAWN, ROOMY, Embedded, Picture, linked, policy, render_report
from bulkqa.report_words import interval, number, percent, signed
from bulkqa.settings import JobSettings
from bulkqa.steps.analysis import analyse_rows
from bulkqa.steps.confusion import confusion_of
from bulkqa.steps.document import as_json
from tests.support import corpus_of, launch, local_store, png
from tests.test_cli import bulkqa

ROOT = Path(__file__).parents[1]
BANDS: Bands = (50, 80, 100)
HOSTILE = "Dog \"x\" <img src=x onerror=alert(1)> & 'ü' 犬 {{ 7 * 6 }} {% x %} </script><b> -->"
VOID = {"meta", "link", "img", "br", "path", "line", "circle", "rect", "polyline"}


class Page(HTMLParser):
    """A page as a browser would read it: elements, text, and tables by the id of their section."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.open: list[str] = []
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.elements.append((tag, values))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "section":
            self.section = values["id"] or ""
        elif tag == "tr":
            self.tables.setdefault(self.section, []).append([])
        elif tag in ("td", "th"):
            self.tables[self.section][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" in self.open or "script" in self.open:
            return
        self.texts.append(data)
        if "td" in self.open or "th" in self.open:
            self.tables[self.section][-1][-1] += data

    @property
    def text(self) -> str:
        """All that is written on the page, without its line breaks."""
        return " ".join(" ".join(self.texts).split())

    def rows(self, section: str) -> dict[str, list[str]]:
        """The rows of a section's tables, by what their first cell says."""
        clean = [[" ".join(cell.split()) for cell in row] for row in self.tables[section]]
        return {row[0]: row[1:] for row in clean}

    def attributes(self, name: str) -> list[str]:
        """The values of an attribute, of all elements that have it."""
        return [values[name] or "" for _, values in self.elements if name in values]


def document_of(rows: list[LabelRow], bands: Bands = BANDS) -> dict[str, Any]:
    """The document of rows, with its examples."""
    examples = CellExamples(bands)
    analysis = analyse_rows(rows, bands, see=examples.add)
    return as_json(analysis) | {"examples": examples.as_json()}


def page_of(rows: list[LabelRow], bands: Bands = BANDS) -> Page:
    """The page of rows whose pictures are nowhere."""
    return Page(render_report(document_of(rows, bands), linked))


def row(image: str, label: str, confidence: float, *votes: bool) -> LabelRow:
    """A row with these votes, each somebody's."""
    confirmed = frozenset(f"dogs/{n}" for n, vote in enumerate(votes) if vote)
    disconfirmed = frozenset(f"dogs/{n}" for n, vote in enumerate(votes) if not vote)
    return LabelRow((image, label), confidence).with_voters(confirmed, disconfirmed, frozenset())


texts = st.one_of(st.sampled_from([HOSTILE, "javascript:alert(1)", "s3://b/k", "\u202e", " "]), st.text())
rows = st.lists(
    st.builds(row, texts, texts, st.floats(0, 100), *[st.booleans()] * 2)
    | st.builds(row, texts, texts, st.floats(0, 100)),
    max_size=8,
    unique_by=lambda row: row.key,
)


@given(rows)
def test_no_label_or_name_becomes_more_than_text(rows: list[LabelRow]) -> None:
    """Whatever labels and images are called, the page has our elements and attributes alone."""
    page = page_of(rows)
    for tag, values in page.elements:
        assert not [name for name in values if name.startswith("on") or name == "style"]
        assert tag != "img"
    assert [tag for tag, _ in page.elements].count("script") == 1
    assert not page.attributes("src")
    for href in page.attributes("href"):
        assert href.startswith(("#", "https://console.aws.amazon.com/s3/object/")) or href == "data:,"


@given(rows)
def test_every_label_stands_in_the_table_as_it_is(rows: list[LabelRow]) -> None:
    """Each label of the document is written on the page, character by character."""
    document = document_of(rows)
    written = Page(render_report(document, linked)).texts
    assert {line["label"] for line in document["labels"]} - {""} <= set(written)


@given(rows)
def test_every_link_within_leads_somewhere(rows: list[LabelRow]) -> None:
    """No two elements share an id, and each link and description within the page names one."""
    page = page_of(rows)
    ids = page.attributes("id")
    assert len(ids) == len(set(ids))
    inner = {href[1:] for href in page.attributes("href") if href.startswith("#")}
    assert inner | set(page.attributes("aria-labelledby")) <= set(ids)


@given(rows)
def test_every_reviewed_cell_leads_to_its_pictures(rows: list[LabelRow]) -> None:
    """A cell of the table links to its pictures if anything of it was reviewed, and only then."""
    links = set(page_of(rows).attributes("href"))
    for place, line in enumerate(tabulate(rows, BANDS).labels.values()):
        for band, tally in enumerate(line.bands):
            assert (f"#c{place}-{band}" in links) == (tally.reviewed > 0)


def test_the_table_says_share_interval_and_counts() -> None:
    """19 of 20 right is 95.0%, Wilson 76.4 to 99.1; cells without review or item say so in words."""
    rows = [row(f"{n}", "Dog", 90.0, n > 0) for n in range(20)]
    rows += [LabelRow((f"open {n}", "Dog"), 60.0) for n in range(2)] + [LabelRow(("more", "Dog"), 99.0)]
    rows += [row("cat", "Cat", 90.0, True)]
    table = page_of(rows).rows("table")
    assert table["Dog"] == [
        "95.0% 76.4–99.1% 19 of 20 3 open",
        "not reviewed 2 items",
        "95.0% 76.4–99.1% 19 of 20 1 open",
    ]
    assert table["Cat"] == ["100% 20.7–100% 1 of 1", "–no items", "100% 20.7–100% 1 of 1"]
    assert table["All labels"][0] == "95.2% 77.3–99.2% 20 of 21 3 open"
    assert table["Class average"] == ["97.5%", "–", "97.5%"]


def reference() -> dict[str, Any]:
    """The document in the reference, which has every key."""
    found = re.search("```json\n(.*?)```", (ROOT / "docs/reference/report.md").read_text("utf-8"), re.DOTALL)
    assert found
    document: dict[str, Any] = json.loads(found[1])
    return document


def numbered(value: Any, numbers: Iterator[int], key: str = "") -> Any:
    """The same document with a number of its own in place of each."""
    if key in ("band", "bands") and isinstance(value, list) and not isinstance(value[0], dict):
        return value
    if isinstance(value, dict):
        return {key: numbered(part, numbers, key) for key, part in value.items()}
    if isinstance(value, list) and len(value) == 2 and isinstance(value[0], float):
        low = next(numbers) / 10000
        return [low if value[0] >= 0 else -low, low + 0.0004]
    if isinstance(value, list):
        return [numbered(part, numbers, key) for part in value]
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    return next(numbers) if isinstance(value, int) else next(numbers) / 10000


SUMS = {"total", "incorrect", "examples_at_most", "schema", "below"}
"""Numbers that others on the page make up, or that are said in words of their own."""

ODD: dict[str, Callable[[Any], str]] = {
    "alpha": lambda value: number(value, 3),
    "ac1": lambda value: number(value, 3),
    "alpha_interval": lambda ends: "–".join(number(end, 3) for end in ends),
    "ac1_interval": lambda ends: "–".join(number(end, 3) for end in ends),
    "auroc": lambda value: number(value, 2),
    "auroc_interval": lambda ends: "–".join(number(end, 2) for end in ends),
    "target": lambda value: f"{number(100 * value)}%",
    "assurance": lambda value: f"{number(100 * value)}%",
    "confidence": lambda value: number(value, 1),
    "median_seconds": lambda value: number(value, 1),
    "distance": signed,
    "distance_interval": lambda ends: interval(ends, ""),
}
"""How numbers other than shares and counts are written."""


def written(value: Any, key: str = "") -> Iterator[str]:
    """What a page has to say of a document."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from written(part, name)
    elif key in ODD and value is not None:
        yield ODD[key](value)
    elif key == "bounds":
        yield from (interval(cell) for row in value for cell in row)
    elif key.endswith("interval") and value is not None:
        yield interval(value)
    elif isinstance(value, list) and key != "band":
        for part in value:
            yield from written(part, key)
    elif isinstance(value, float):
        yield percent(value)
    elif isinstance(value, int) and not isinstance(value, bool) and key not in SUMS:
        yield number(value)
    elif isinstance(value, str) and key not in ("job", "rule", "outcome"):
        yield value


def test_every_number_of_the_reference_is_on_the_page() -> None:
    """Of a document with every key and no number twice, the page has each number and each sentence."""
    document = numbered(reference(), count(1001, 7))
    text = Page(render_report(document, linked)).text
    expected = [" ".join(one.split()) for one in written({**document, "bands": None})]
    assert len(expected) > 150
    assert [one for one in expected if one not in text] == []


def test_the_pictures_section_repeats_its_cells_numbers() -> None:
    """Above the pictures of a cell stand its share, interval and all its counts."""
    rows = [row("a", "Dog", 60.0, True), row("b", "Dog", 60.0, False), LabelRow(("c", "Dog"), 60.0)]
    text = page_of(rows).text
    assert "Dog , confidence 50 to under 80 50.0% right (9.5–90.5%)" in text
    assert "1 confirmed, 1 rejected or split, 1 open, of 3 items." in text
    assert "✗ Rejected at 60.00, 1 of 1 vote rejects b ✓ Confirmed at 60.00, 0 of 1 vote reject a" in text


def test_an_empty_job() -> None:
    """Without a single item the page says so and stands."""
    page = page_of([])
    assert "There is no item at a confidence of 50 or more." in page.text
    assert "Nothing has been reviewed yet, so nothing is known." in page.text
    assert "There are no labels." in page.text


def test_no_votes() -> None:
    """Items without votes: no share anywhere, no pictures, no thresholds."""
    page = page_of([LabelRow((f"{n}", "Dog"), 90.0) for n in range(3)])
    assert "0 of them (0%) have been reviewed." in page.text
    assert page.rows("table")["Dog"] == ["not reviewed 3 items", "–no items", "not reviewed 3 items"]
    assert "No label may be used unseen yet, at any confidence." not in page.text
    assert not [href for href in page.attributes("href") if re.match(r"#[cl]\d", href)]


def test_one_label_and_one_item() -> None:
    """A single vote makes a page with a single curve of its own beside the pooled one."""
    page = page_of([row("a", "Dog", 90.0, True)])
    assert [tag for tag, _ in page.elements].count("svg") == 2
    assert "Most often right" not in page.text


def test_a_hundred_labels() -> None:
    """Twelve curves stand at once, those with most reviews; the others are behind a line that opens."""
    rows = [row(f"{n}", f"L{n % 100:02d}", 90.0, True) for n in range(150)]
    page = page_of(rows)
    assert "88 more labels" in page.text
    captions = [text for text in page.texts if re.fullmatch(r" (\d) of \1", text.rstrip())]
    assert [caption.strip() for caption in captions] == ["2 of 2"] * 50 + ["1 of 1"] * 50
    assert len(page.rows("outcomes")) == 102


def test_published_conventions() -> None:
    """With them an empty band reads 0%, as the blog printed it, and stays without colour and pictures."""
    document = as_json(analyse_rows([row("a", "Dog", 90.0, True)], BANDS), published=True)
    page = Page(render_report(document, linked))
    assert page.rows("table")["Dog"] == ["100% 20.7–100% 1 of 1", "0% no items", "100% 20.7–100% 1 of 1"]


def test_labels_that_are_too_close_are_not_ranked() -> None:
    """The best and the worst label are called so only where their intervals are apart."""
    rows = [row(f"{n}", "Cat", 90.0, True) for n in range(40)] + [
        row(f"{n}", "Dog", 90.0, False) for n in range(40)
    ]
    assert "least often: Dog, 0% (0–8.8%)." in page_of(rows).text
    assert "too close to tell apart" in page_of(rows[38:41]).text


def test_the_policy_allows_the_pages_own_style_and_script_alone() -> None:
    """The policy on the page names the digests of its style and script, which hold no address."""
    source = render_report(document_of([]), linked)
    page = Page(source)
    (content,) = [
        v["content"] for tag, v in page.elements if v.get("http-equiv") == "Content-Security-Policy"
    ]
    assert content == policy()
    for tag in ("style", "script"):
        found = re.search(f"<{tag}>(.*?)</{tag}>", source, re.DOTALL)
        assert found
        digest = base64.b64encode(hashlib.sha256(found[1].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy()
        assert not re.search(r"url\(|https?:|@import", found[1])
    assert policy().startswith("default-src 'none'; ")


def test_the_same_document_gives_the_same_page() -> None:
    """Nothing on the page depends on time or chance."""
    rows = [row(f"{n}", f"L{n % 3}", 60 + n % 40, n % 7 > 0, n % 5 > 0) for n in range(60)]
    assert render_report(document_of(rows), linked) == render_report(document_of(rows[::-1]), linked)


# The confusion matrix.


def confused(rows: Mapping[LabelRow, str | None]) -> dict[str, Any]:
    """The document of a job of these rows, whose rejected items are the labels that are given."""
    finals = [
        (row, Final(row.key[1], How.CONFIRMED))
        if row.outcome is Outcome.CONFIRMED
        else (row, Final(None, How.UNRESOLVED) if truth is None else Final(truth, How.RELABELLED))
        for row, truth in rows.items()
    ]
    found = confusion_of(finals, JobSettings(job="pets", corpus_name="pets.csv"))
    examples = CellExamples(BANDS)
    analysis = analyse_rows(rows, BANDS, see=examples.add)
    return as_json(analysis, confusion=found) | {"examples": examples.as_json(), "job": "pets"}


def pets() -> dict[LabelRow, str | None]:
    """The example of the reference, counted by hand there."""
    found: dict[LabelRow, str | None] = {}
    for label, right, truths, split in (
        ("Dog", 8, ["Wolf", "Wolf", None], 1),
        ("Wolf", 4, ["Dog", None, None], 0),
    ):
        found |= {row(f"{label}{n}.png", label, 90.0, True): None for n in range(right)}
        found |= {row(f"no{label}{n}.png", label, 90.0, False): truth for n, truth in enumerate(truths)}
        found |= {row(f"split{label}{n}.png", label, 90.0, True, False): None for n in range(split)}
    return found


def of_many(labels: int) -> dict[LabelRow, str | None]:
    """Items of many labels, of each two right ones and one that is the next label; the last two are right."""
    found: dict[LabelRow, str | None] = {}
    for n in range(labels):
        found |= {row(f"{n}-{k}.png", f"L{n:03d}", 90.0, True): None for k in range(2)}
        if n < labels - 2:
            found[row(f"{n}-2.png", f"L{n:03d}", 90.0, False)] = f"L{n + 1:03d}"
    return found


def test_the_matrix_by_hand() -> None:
    """Shares of the column, items and ranges as in the reference; below it the pairs and what is unknown."""
    page = Page(render_report(confused(pets()), linked))
    lines = [[" ".join(cell.split()) for cell in line] for line in page.tables["confusion"]]
    assert lines == [
        ["is → predicted ↓", "Dog", "Wolf"],
        ["Dog", "88.9% 8 72.7–90.0%", "33.3% 2 33.3–50.0%"],
        ["Wolf", "11.1% 1 10.0–27.3%", "66.7% 4 50.0–66.7%"],
        ["Items known", "9", "6"],
        ["Is", "Predicted as", "Items", "Share", "Some of them"],
        ["Wolf", "Dog", "2", "33.3%", "noDog0.pngnoDog1.png"],
        ["Dog", "Wolf", "1", "11.1%", "noWolf0.png"],
        ["Predicted as", "Rejected", "Split", "Found", "At least and at most"],
        ["Dog", "1", "1", "88.9%", "72.7–90.0%"],
        ["Wolf", "2", "0", "66.7%", "50.0–66.7%"],
    ]
    assert "Of 19 reviewed items 15 have a true label." in page.text
    assert "4 others stand in no cell: 3 rejected" in page.text


def test_without_doubt_there_is_no_range() -> None:
    """Where every reviewed item has a true label no cell has a range, and nothing is still unknown."""
    known = {row: truth for row, truth in pets().items() if truth or row.outcome is Outcome.CONFIRMED}
    page = Page(render_report(confused(known), linked))
    assert page.tables["confusion"][1][1].split() == ["88.9%", "8"]
    assert "Still unknown" not in page.text
    assert "Mistaken most often: Wolf for Dog, 2 items." in page.text


def test_a_job_without_rounds_has_no_matrix() -> None:
    """Neither section nor link to it."""
    page = page_of([row("a", "Dog", 90.0, False)])
    assert "confusion" not in page.attributes("id")
    assert "#confusion" not in page.attributes("href")


@pytest.mark.slow
@pytest.mark.parametrize(("labels", "drawn"), [(ROOMY, ROOMY), (100, 100), (DRAWN + 2, DRAWN)])
def test_matrices_of_many_labels(labels: int, drawn: int) -> None:
    """Up to a number all labels are drawn, in their order; of more those without a mistake are left out."""
    page = Page(render_report(confused(of_many(labels)), linked))
    head, *lines = page.tables["confusion"][: drawn + 1]
    assert head[1:] == [line[0] for line in lines] == [f"L{n:03d}" for n in range(drawn)]
    assert {len(line) for line in lines} == {drawn + 1}
    assert lines[0][1].split() == ["100%", "2"]
    assert lines[0][2].split() == ["33.3%", "1"]
    assert lines[1][1].split() == ["0"]
    crowded = [one for one in page.attributes("class") if "crowded" in one.split()]
    assert len(crowded) == (2 if labels > ROOMY else 0)
    assert ("2 labels in fewer mistakes are not drawn" in page.text) == (labels > drawn)


def test_each_confused_pair_shows_a_picture_before_any_cell(tmp_path: Path) -> None:
    """Where there is not room for all, what is mistaken most often is seen; the other examples come last."""
    rows = pets()
    files = Files(tmp_path, {one.key[0]: 10 for one in rows})
    render_report(confused(rows), Embedded(files))
    assert files.asked[:2] == ["noDog0.png", "noWolf0.png"]
    assert files.asked[-1] == "noDog1.png"


@given(st.lists(texts, min_size=1, max_size=4, unique=True), st.booleans())
def test_no_label_of_the_matrix_becomes_more_than_text(labels: list[str], known: bool) -> None:
    """Whatever labels are called, the matrix has them as they are, and our elements and attributes alone."""
    rows: dict[LabelRow, str | None] = {}
    for place, label in enumerate(labels):
        rows[row(f"{place}.png", label, 90.0, True)] = None
        other = labels[place - 1]
        rows[row(f"no{place}.png", label, 90.0, False)] = other if known and other != label else None
    page = Page(render_report(confused(rows), linked))
    head, *lines = page.tables["confusion"][: len(labels) + 1]
    assert head[1:] == [line[0] for line in lines] == sorted(labels)
    for tag, values in page.elements:
        assert not [name for name in values if name.startswith("on") or name == "style"]
        assert tag != "img"
    ids = page.attributes("id")
    assert len(ids) == len(set(ids))


class Files:
    """Pictures in a folder, and in which order they were asked for."""

    def __init__(self, folder: Path, sizes: Mapping[str, int]) -> None:
        self.folder = folder
        self.asked: list[str] = []
        for name, size in sizes.items():
            (folder / name).write_bytes(b"x" * size)

    def __call__(self, reference: str) -> tuple[Path, str] | None:
        self.asked.append(reference)
        return self.folder / reference, "image/png"


def test_pictures_are_embedded_while_there_is_room(tmp_path: Path) -> None:
    """A file too large by itself, or for what is left, is linked; a smaller one after it still fits."""
    pictures = Embedded(Files(tmp_path, {"a": 60, "b": 101, "c": 50, "d": 40}), each=100, in_all=100)
    shown = {name: pictures(name) for name in "abcd"}
    assert shown["a"] == Picture(f"data:image/png;base64,{base64.b64encode(b'x' * 60).decode()}")
    assert shown["b"] == Picture(link=(tmp_path / "b").as_uri())
    assert shown["c"].source is None
    assert shown["d"].source is not None


def test_contents_are_embedded_like_files() -> None:
    """What was read from elsewhere stands in the page while there is room, or is linked where it lies."""
    pictures = Embedded(lambda reference: (b"x" * 60, "image/png"), each=100, in_all=100)
    assert pictures("s3://b/a.png").source == f"data:image/png;base64,{base64.b64encode(b'x' * 60).decode()}"
    assert pictures("s3://b/b.png") == linked("s3://b/b.png")


@pytest.mark.parametrize("failure", [InputError("x"), NotFoundError("x"), PermissionError("x")])
def test_a_picture_that_is_gone_is_named(failure: Exception) -> None:
    """A file that cannot be had any more leaves its name, and the page stands."""

    def find(reference: str) -> tuple[Path, str] | None:
        raise failure

    assert Embedded(find)("a.png") == Picture()


@pytest.mark.parametrize(
    "reference", ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "a.png"]
)
def test_only_addresses_of_the_web_are_links(reference: str) -> None:
    """What a corpus calls an image never becomes another kind of link."""
    assert linked(reference) == Picture()


def test_every_cell_gets_its_first_picture_before_any_its_second(tmp_path: Path) -> None:
    """Where there is not room for all, each cell shows what matters most in it."""
    rows = [row(f"{label}{n}.png", label, 90.0, n > 0) for label in ("Cat", "Dog") for n in range(3)]
    files = Files(tmp_path, {one.key[0]: 10 for one in rows})
    source = render_report(document_of(rows), Embedded(files, in_all=20))
    assert files.asked[:2] == ["Cat0.png", "Dog0.png"]
    page = Page(source)
    assert page.attributes("alt") == ["Cat0.png, labelled Cat", "Dog0.png, labelled Dog"]
    assert "2 of 6 pictures are shown here" in page.text
    assert page.attributes("href").count((tmp_path / "Cat1.png").as_uri()) == 1


def test_the_command_writes_the_page_with_its_pictures(tmp_path: Path) -> None:
    """`report --format html` shows the job's own pictures; it needs no network and no other file."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        (folder / name).write_bytes(png((200, 100, 50)))
    data = corpus_of([("a.png", "Dog", 90.0), ("b.png", "Dog", 85.0)])
    with local_store(tmp_path / "home") as store:
        launch(store, data, find_in(folder), image_root=str(folder))
        items = store.blobs.read("jobs/dogs/custom-labeling-inputs/00000000.json")
        from bulkqa import steps

        content = {f"item-{place:03d}": {"Confirmed": place == 0} for place in range(2)}
        steps.answer_page("dogs", 0, "ana", content, store, "2026-01-02T04:00:00Z")
    assert len(json.loads(items)) == 2
    output = tmp_path / "report.html"
    run = bulkqa("report", "dogs", "--home", str(tmp_path / "home"), "--format", "html", "-o", str(output))
    assert (run.code, run.out) == (0, "")
    page = Page(output.read_text("utf-8"))
    assert len(page.attributes("src")) == 2
    assert all(src.startswith("data:image/png;base64,iVBOR") for src in page.attributes("src"))
    assert page.rows("table")["Dog"][0] == "50.0% 9.5–90.5% 1 of 2"


def test_the_page_of_a_file_is_named_after_it(tmp_path: Path) -> None:
    """A file of rows has no job and no folder of pictures: its name is the title, its images are named."""
    table = tmp_path / "old table.csv"
    table.write_text("s3_image_url,label,confidence,WorkerConfirmCount\ns3://b/1.jpg,Dog,90,1\n")
    run = bulkqa("report", str(table), "--format", "html")
    page = Page(run.out)
    assert run.code == 0
    assert "old table.csv : which labels can be trusted?" in page.text
    assert "https://console.aws.amazon.com/s3/object/b?prefix=1.jpg" in page.attributes("href")
