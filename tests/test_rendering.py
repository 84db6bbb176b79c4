from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from liquid import Environment, Mode
from liquid.undefined import FalsyStrictUndefined

from bulkqa.errors import BulkqaError, InputError
from bulkqa.rendering import CROWD_SCRIPT_URL, render_worker_page

SOURCE = (Path(__file__).parents[1] / "templates/worker.liquid.html").read_text(encoding="utf-8")
HOSTILE = "Dog \"x\" <img src=x onerror=alert(1)> & 'ü' 犬 {{ 7 | times: 6 }} </script><b>"


def entries(count: int, label: str = "Food") -> list[dict[str, object]]:
    """Return the pictures of a task, with no more than they must have."""
    return [{"s3_image_url": f"s3://bucket/{i}.png", "label": label} for i in range(count)]


def render(
    template: str,
    task_input: dict[str, object] | None = None,
    read_access: Callable[[str], str] = str,
    crowd_script: str = "/crowd.js",
) -> str:
    """Render a template with what the test does not care about filled in."""
    return render_worker_page(template, task_input or {}, read_access=read_access, crowd_script=crowd_script)


def page(count: int, label: str = "Food") -> Page:
    """Return our own template as a browser would read it."""
    return Page(render(SOURCE, {"sourceRef": entries(count, label)}))


class Page(HTMLParser):
    """What a browser would make of a page: its elements, and the text of its heading."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self._open = ""
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._open = tag
        self.texts.setdefault(tag, "")

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts[self._open] += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def names(self) -> list[str | None]:
        return [
            attributes["name"] for tag, attributes in self.elements if tag != "meta" and "name" in attributes
        ]


# ---- The template


@pytest.mark.parametrize("count", [0, 1, 25, 100])
def test_source_ref_alone_is_enough(count: int) -> None:
    """With nothing but pictures and a label, strict Liquid finds no variable missing."""
    strict = Environment(autoescape=True, tolerance=Mode.STRICT, undefined=FalsyStrictUndefined)
    strict.filters["grant_read_access"] = str
    rendered = strict.from_string(SOURCE).render(task={"input": {"sourceRef": entries(count)}})
    assert rendered.count("<crowd-checkbox") == 2 * count


@pytest.mark.parametrize("count", [0, 1, 25, 100])
def test_every_picture_has_its_two_boxes(count: int) -> None:
    """A picture is shown once and has a ticked `Confirmed` and an unticked `CannotJudge` of one name."""
    shown = page(count)
    boxes = [(box["name"], box["value"], "checked" in box) for box in shown.all("crowd-checkbox")]
    assert boxes == [
        (f"item-{i:03}", value, value == "Confirmed")
        for i in range(count)
        for value in ("Confirmed", "CannotJudge")
    ]
    pictures = [image["src"] for image in shown.all("img") if "src" in image]
    assert pictures == [f"s3://bucket/{i}.png" for i in range(count)]


def test_given_item_names_are_kept() -> None:
    """An entry's own `item` is its name in the answer."""
    given_names = [entry | {"item": f"item-{i + 40:03}"} for i, entry in enumerate(entries(3))]
    shown = Page(render(SOURCE, {"sourceRef": given_names}))
    assert [box["name"] for box in shown.all("crowd-checkbox")][::2] == ["item-040", "item-041", "item-042"]


def test_a_hostile_label_is_only_text() -> None:
    """Whatever a label holds, it adds no element, runs no Liquid and is read as it was written."""
    shown, plain = page(3, HOSTILE), page(3)
    assert [tag for tag, _ in shown.elements] == [tag for tag, _ in plain.elements]
    assert shown.texts["h1"] == f"Are these all “{HOSTILE}”?"
    texts = [attributes for tag, attributes in shown.elements if attributes.get("id") == "bq-text"]
    assert texts[0]["data-label"] == HOSTILE


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1))
def test_any_label_is_read_as_it_was_written(label: str) -> None:
    """For every label, the attribute the script reads holds exactly that label."""
    shown = page(1, label)
    texts = [attributes for _, attributes in shown.elements if attributes.get("id") == "bq-text"]
    assert texts[0]["data-label"] == label


def test_no_name_comes_from_the_label() -> None:
    """Names in the answer have a fixed form, whatever the label is."""
    assert page(3, "item-999").names() == [f"item-{i:03}" for i in range(3) for _ in range(2)] + ["meta"]


def test_a_signed_address_is_escaped_once() -> None:
    """The `&` of a signed picture address is written `&amp;`, so that the browser asks for the signed one."""
    address = "https://example.com/1.png?expires=9&sig=a%2Bb"
    source = render(SOURCE, {"sourceRef": entries(1)}, read_access=lambda _: address)
    assert 'src="https://example.com/1.png?expires=9&amp;sig=a%2Bb"' in source


def test_there_is_one_crowd_form() -> None:
    """Ground Truth takes exactly one form, around everything that is answered."""
    assert len(re.findall(r"<crowd-form\b", SOURCE)) == 1
    assert [tag for tag, _ in page(2).elements].count("crowd-form") == 1
    outside = SOURCE.split("<crowd-form>")[0] + SOURCE.split("</crowd-form>")[1]
    assert re.findall(r'\sname="(\w+)', outside) == ["viewport"]


def test_scripts_hold_no_liquid() -> None:
    """No data reaches a script: escaping for HTML would not make it safe there."""
    scripts = re.findall(r"<script\b.*?</script>", SOURCE, re.DOTALL)
    assert len(scripts) == 2
    assert not [script for script in scripts if "{{" in script or "{%" in script]


def test_only_liquid_that_every_host_knows() -> None:
    """The template keeps to the tags and filters that Ground Truth is known to have."""
    used = Environment().from_string(re.sub(r"\| grant_read_access", "", SOURCE)).analyze()
    assert set(used.tags) <= {"for", "if", "assign", "capture", "comment"}
    assert set(used.filters) <= {"size", "minus", "prepend", "slice", "escape"}


def test_the_template_fits_ground_truth() -> None:
    """Ground Truth takes at most 128,000 characters."""
    assert len(SOURCE) < 128_000


def test_the_page_needs_nothing_from_elsewhere() -> None:
    """The crowd elements' script is the only outside address, and nothing opens the browser's own dialogs."""
    assert re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^\s\"']*", SOURCE) == [CROWD_SCRIPT_URL]
    assert not re.findall(
        r"\b(alert|confirm|prompt|fetch|XMLHttpRequest|beforeunload|sendBeacon)\s*\(", SOURCE
    )
    assert not re.findall(r"@import|url\(", SOURCE)


# ---- The crowd elements' script


def test_only_the_script_address_is_swapped() -> None:
    """The page differs from Ground Truth's in the address of that one script, and in nothing else."""
    original = render(SOURCE, {"sourceRef": entries(2)}, crowd_script=CROWD_SCRIPT_URL)
    swapped = render(SOURCE, {"sourceRef": entries(2)}, crowd_script="/static/crowd.js?v=1&w=2")
    assert CROWD_SCRIPT_URL not in swapped
    assert original.replace(CROWD_SCRIPT_URL, "/static/crowd.js?v=1&amp;w=2") == swapped


@pytest.mark.parametrize(
    "script",
    [
        f"<script src='{CROWD_SCRIPT_URL}'></script>",
        f'<script async src = "{CROWD_SCRIPT_URL}" ></script>',
        f"<SCRIPT SRC={CROWD_SCRIPT_URL}></SCRIPT>",
        f"<script src={CROWD_SCRIPT_URL.removeprefix('https:')}></script>",
    ],
)
def test_the_script_is_found_however_it_is_written(script: str) -> None:
    """Single quotes, no quotes, capitals and a missing scheme make no difference."""
    assert '"/crowd.js"' in render(script)
    assert "assets.crowd.aws" not in render(script)


def test_the_script_address_in_a_text_stays() -> None:
    """A label or a link that holds the script's address is left alone."""
    text = f"<a href='{CROWD_SCRIPT_URL}'>{CROWD_SCRIPT_URL}</a>"
    assert render(text) == text
    label = f'<script src="{CROWD_SCRIPT_URL}">'
    assert CROWD_SCRIPT_URL in render("{{ task.input.label }}", {"label": label})


# ---- Liquid as Ground Truth speaks it


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ task.input.text }}", "a &lt; b &amp; c"),
        ("{{ task.input.text | skip_autoescape }}", "a < b & c"),
        ("{{ task.input.missing | skip_autoescape }}", ""),
        ("{{ task.input.done | escape_once }}", "&lt; &lt;"),
        ("{{ task.input.list | to_json | skip_autoescape }}", '["é", 1.5, null, true]'),
        ("{{ task.input.list | to_json }}", "[&#34;é&#34;, 1.5, null, true]"),
        ("{{ task.input.list | to_json | escape }}", "[&#34;é&#34;, 1.5, null, true]"),
        ("{{ task.input.missing | to_json }}", "null"),
        ("{{ task.input['source-ref'] | s3_presign }}", "signed:s3://b/k?a&amp;b"),
        ("{{ task.input.source-ref | grant_read_access }}", "signed:s3://b/k?a&amp;b"),
        ("{{ task.input.missing | grant_read_access }}|{{ nil | s3_presign }}", "|"),
    ],
)
def test_ground_truths_own_filters(template: str, expected: str) -> None:
    """Output is escaped unless the template says otherwise, and what is missing is empty, or null in JSON."""
    task_input = {
        "text": "a < b & c",
        "done": "&lt; <",
        "list": ["é", 1.5, None, True],
        "source-ref": "s3://b/k",
    }
    assert render(template, dict(task_input), read_access=lambda url: f"signed:{url}?a&b") == expected


@pytest.mark.parametrize(
    ("template", "place"),
    [
        ("<p>\n{% if %}", "line 2: "),
        ("\n\n{{ 'a' | no_such_filter }}", "line 3: .*no_such_filter"),
        ("{% for x in y %}\n", "at its end: .*endfor"),
        ("\n{{ 1 | divided_by: 0 }}", "line 2: "),
        ("{% include 'other' %}", "line 1: there is no other template 'other'"),
        ("{{ task.input.odd | to_json }}", "line 1: .*to_json"),
    ],
)
def test_a_template_error_names_its_line(template: str, place: str) -> None:
    """A template that cannot be used is the fault of what was given, and the message says where it is."""
    with pytest.raises(InputError, match=f"^the worker template cannot be used: {place}"):
        render(template, {"odd": object()})


@pytest.mark.parametrize(
    "template",
    [
        "{% for a in (1..1000) %}{% for b in (1..1000) %}{% endfor %}{% endfor %}",
        "{% for a in (1..90000) %}" + "x" * 100 + "{% endfor %}",
        "{% assign x = 'x' %}{% for a in (1..26) %}{% assign x = x | append: x %}{% endfor %}",
        "{% if true %}" * 100 + "{% endif %}" * 100,
    ],
    ids=["loops", "output", "memory", "nesting"],
)
def test_a_template_cannot_use_up_the_machine(template: str) -> None:
    """Loops, output, variables and nesting have limits, since a template is a file somebody hands us."""
    with pytest.raises(InputError, match="limit reached"):
        render(template)


def test_a_failure_to_give_access_stays_what_it_is() -> None:
    """An error in giving access to a picture is not taken for an error in the template."""

    def refuse(_: str) -> str:
        raise BulkqaError("the bucket does not answer")

    with pytest.raises(BulkqaError, match=r"^the bucket does not answer$"):
        render("{{ task.input.url | grant_read_access }}", {"url": "s3://b/k"}, read_access=refuse)


def test_a_custom_template_renders() -> None:
    """The shape people already have (a range, the label in the name) renders as it does on Ground Truth."""
    template = """{% assign last = task.input.sourceRef.size | minus: 1 %}{% for i in (0..last) %}
      <crowd-card image="{{ task.input.sourceRef[i].s3_image_url | grant_read_access }}"></crowd-card>
      <crowd-checkbox name="{{ task.input.sourceRef[i].label }}-{{ i }}" value="Confirmed" checked />
      {% endfor %}"""
    task_input: dict[str, Any] = {"sourceRef": entries(3, HOSTILE)}
    boxes = Page(render(template, task_input)).names()
    assert boxes == [f"{HOSTILE}-{i}" for i in range(3)]
    assert Page(render(template, {"sourceRef": []})).elements == []
