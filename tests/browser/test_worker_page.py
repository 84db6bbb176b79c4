from __future__ import annotations

import json
import re
import threading
from typing import Any

import pytest

pytestmark = pytest.mark.browser

HOSTILE = "Dog \"x\" <img src=x onerror=alert(1)> & 'ü' 犬 {{ 7 | times: 6 }} </script><b>"
LONG = "Pneumono" * 18 + " of a label that does not end" * 6
WRONG, UNSURE, RIGHT = (
    {"Confirmed": False, "CannotJudge": False},
    {"Confirmed": False, "CannotJudge": True},
    {"Confirmed": True, "CannotJudge": False},
)


def without_script(page: str) -> str:
    """Return the page as it would be if its own script had never been there."""
    return re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)


def answer_of(count: int, **marks: dict[str, bool]) -> dict[str, dict[str, bool]]:
    """Return what is to be sent for `count` pictures, correct but for those given as `i4=WRONG`."""
    return {f"item-{i:03}": marks.get(f"i{i}", RIGHT) for i in range(count)}


def marks_of(answer: dict[str, Any]) -> dict[str, Any]:
    """Return what an answer says about the pictures."""
    return {name: value for name, value in answer.items() if name != "meta"}


# ---- Marking and sending


def test_clicked_pictures_are_wrong(show: Any) -> None:
    """A click marks a picture wrong, a second one takes it back, and the rest is confirmed."""
    review = show()
    for index in (0, 10, 12, 24, 12):
        review.tiles.nth(index).click()
    assert review.status.inner_text() == "3 wrong, 0 can't tell, 22 correct"
    assert review.tiles.nth(10).inner_text() == "Picture 11 of 25: not Food"
    assert review.tiles.nth(10).get_attribute("aria-pressed") == "true"
    assert review.tiles.nth(12).get_attribute("aria-pressed") == "false"
    assert review.frame.locator(".is-wrong .bq-word").all_inner_texts() == ["Not “Food”"] * 3
    review.submit.click()
    assert marks_of(review.answer()) == answer_of(25, i0=WRONG, i10=WRONG, i24=WRONG)


def test_the_answer_has_the_agreed_shape(show: Any) -> None:
    """Every box is there as a boolean, and `meta` is one text that holds the rest."""
    review = show(3)
    review.tiles.nth(1).click()
    review.tiles.nth(2).click()
    review.page.keyboard.press("u")
    review.page.wait_for_timeout(500)
    review.submit.click()
    [answer] = review.answers(1)
    assert isinstance(answer["meta"], str)
    meta = json.loads(answer.pop("meta"))
    assert answer == answer_of(3, i1=WRONG, i2=UNSURE)
    assert 0.5 <= meta.pop("seconds") < 60
    assert meta == {"v": 1, "broken": [], "shown": [0, 1, 2], "toggles": 3, "zooms": 0, "attested": False}


def test_a_small_button_marks_what_cannot_be_told(show: Any) -> None:
    """The button on a picture marks it "can't tell", and pressing it again takes that back."""
    review = show(4)
    button = review.frame.get_by_role("button", name="Can't tell: picture 3")
    review.tiles.nth(2).hover()
    button.click()
    assert review.tiles.nth(2).inner_text() == "Picture 3 of 4: can't tell"
    assert review.tiles.nth(2).get_attribute("aria-pressed") == "mixed"
    button.click()
    assert review.status.inner_text() == "0 wrong, 0 can't tell, 4 correct"


def test_pressing_submit_twice_sends_once(show: Any) -> None:
    """Until the portal replies, nothing is sent again, by whatever way it is tried."""
    review = show(3)
    review.page.evaluate("window.reply = null")
    review.tiles.nth(0).click()
    review.submit.dblclick()
    review.page.keyboard.press("Control+Enter")
    review.frame.evaluate("document.querySelector('crowd-form').submit()")
    review.answers(1)
    assert review.frame.get_by_role("button", name="Saving…").is_disabled()


def test_a_saved_answer_is_reported(show: Any) -> None:
    """After the portal has said it is saved, the button says so and stays off."""
    review = show(3)
    review.tiles.nth(0).click()
    review.submit.click()
    review.frame.get_by_role("button", name="Saved").wait_for()
    assert review.frame.get_by_role("button", name="Saved").is_disabled()
    review.frame.evaluate("document.querySelector('crowd-form').submit()")
    review.answers(1)


def test_a_failed_save_keeps_the_marks(show: Any) -> None:
    """When saving fails, the message is shown, the marks stay and the answer can be sent again."""
    review = show(5)
    review.page.evaluate("window.reply = {type: 'bulkqa:failed', message: 'No <b>connection</b>.'}")
    for index in (1, 3):
        review.tiles.nth(index).click()
    review.submit.click()
    review.alert.get_by_text("No <b>connection</b>.", exact=True).wait_for()
    assert review.status.inner_text() == "2 wrong, 0 can't tell, 3 correct"
    assert review.frame.locator(".is-wrong").count() == 2
    review.page.evaluate("window.reply = {type: 'bulkqa:saved'}")
    review.submit.click()
    first, second = review.answers(2)
    assert marks_of(first) == marks_of(second) == answer_of(5, i1=WRONG, i3=WRONG)
    assert review.alert.count() == 0


def test_only_the_portal_may_reply(show: Any) -> None:
    """A message from anywhere but the page around the frame changes nothing."""
    review = show(2)
    review.page.evaluate("window.reply = null")
    review.tiles.nth(0).click()
    review.submit.click()
    review.answers(1)
    review.frame.evaluate("window.postMessage({type: 'bulkqa:failed', message: 'forged'}, '*')")
    review.frame.evaluate("window.postMessage({type: 'bulkqa:saved'}, '*')")
    review.page.wait_for_timeout(100)
    assert review.alert.count() == 0
    assert review.frame.get_by_role("button", name="Saving…").count() == 1


def test_the_portal_learns_when_the_page_is_ready(show: Any) -> None:
    """The page says once that it is ready."""
    assert show(2).page.evaluate("window.ready") == 1


# ---- Nothing wrong


def test_nothing_wrong_has_to_be_confirmed(show: Any) -> None:
    """With nothing marked wrong, Submit asks for a tick, moves the focus to it and sends only after it."""
    review = show()
    review.submit.click()
    assert review.focused() == "I looked at all 25; every one is Food"
    assert review.alert.inner_text() == "Nothing is marked wrong. Please tick the box, then submit."
    review.submit.click()
    review.answers(0)
    review.attest.click()
    review.submit.click()
    answer = review.answer()
    assert marks_of(answer) == answer_of(25)
    assert answer["meta"]["attested"] is True


def test_the_confirmation_does_not_outlive_a_change(show: Any) -> None:
    """A tick given before marks were changed does not count for what they are now."""
    review = show(4)
    review.submit.click()
    review.attest.click()
    review.tiles.nth(1).click()
    assert review.attest.count() == 0
    review.tiles.nth(1).click()
    review.submit.click()
    assert review.attest.get_attribute("aria-checked") == "false"
    review.attest.click()
    review.tiles.nth(2).focus()
    review.page.keyboard.press("u")
    assert review.attest.get_attribute("aria-checked") == "false"
    review.submit.click()
    review.answers(0)


def test_can_not_tell_is_not_wrong(show: Any) -> None:
    """When the only marks are "can't tell", the tick is asked for too, and says what it is about."""
    review = show(4)
    review.tiles.nth(2).focus()
    review.page.keyboard.press("u")
    review.submit.click()
    assert review.focused() == "I looked at all 4; I can't tell 1, every other one is Food"
    review.answers(0)


def test_the_question_names_the_label(show: Any) -> None:
    """The page asks about the label and says in one visible line what to do."""
    review = show(2)
    assert review.frame.get_by_role("heading", level=1).inner_text() == "Are these all “Food”?"
    lines = review.frame.locator(".bq-head p:visible").all_inner_texts()
    assert lines == ["Select every picture that is wrong. Leave the correct ones as they are."]


# ---- Keys


def test_the_whole_page_works_by_keyboard(show: Any) -> None:
    """Arrows and hjkl move, Space and x flip, u marks what cannot be told, Enter goes to Submit."""
    review = show()
    keys = review.page.keyboard
    review.tiles.nth(0).focus()
    across = review.frame.evaluate(
        "getComputedStyle(document.getElementById('bq-grid')).gridTemplateColumns.split(' ').length"
    )
    keys.press("ArrowRight")
    keys.press("Space")
    assert review.focused() == "Picture 2 of 25: not Food"
    for key in ("ArrowDown", "l", "x"):
        keys.press(key)
    assert review.focused() == f"Picture {across + 3} of 25: not Food"
    for key in ("h", "u", "k", "ArrowLeft", "j", "x"):
        keys.press(key)
    assert review.focused() == f"Picture {across + 1} of 25: not Food"
    keys.press("End")
    assert review.focused() == "Picture 25 of 25: Food"
    keys.press("Home")
    assert review.focused() == "Picture 1 of 25: Food"
    keys.press("Enter")
    assert review.focused() == "Submit"
    review.answers(0)
    keys.press("Enter")
    marks = {"i1": WRONG, f"i{across + 2}": WRONG, f"i{across + 1}": UNSURE, f"i{across}": WRONG}
    assert marks_of(review.answer()) == answer_of(25, **marks)


def test_moving_stays_within_the_grid(show: Any) -> None:
    """At its edges the grid goes no further; down from the last full row reaches the last picture."""
    review = show()
    review.tiles.nth(0).focus()
    for key in ("ArrowLeft", "ArrowUp", "h", "k"):
        review.page.keyboard.press(key)
        assert review.focused().startswith("Picture 1 of")
    review.page.keyboard.press("End")
    for key in ("ArrowRight", "ArrowDown"):
        review.page.keyboard.press(key)
        assert review.focused().startswith("Picture 25 of")
    review.tiles.nth(17).focus()
    review.page.keyboard.press("ArrowDown")
    assert review.focused().startswith("Picture 25 of")


def test_the_grid_is_one_tab_stop(show: Any) -> None:
    """Tab goes from Help to the current picture, its two small buttons, and on to Submit."""
    review = show()
    review.tiles.nth(7).click()
    review.frame.get_by_role("button", name="Help and keys").focus()
    visited = []
    for _ in range(4):
        review.page.keyboard.press("Tab")
        visited.append(review.focused())
    assert visited == ["Picture 8 of 25: not Food", "?", "⤢", "Submit"]


def test_an_arrow_enters_the_grid(show: Any) -> None:
    """When the frame has the focus and nothing in it has, an arrow key goes to the current picture."""
    review = show(4)
    review.page.locator("iframe").focus()
    review.page.keyboard.press("ArrowRight")
    assert review.focused() == "Picture 1 of 4: Food"


def test_letters_act_only_on_a_picture(show: Any) -> None:
    """A single letter pressed outside the grid does nothing."""
    review = show(4)
    for name in ("Help and keys", "Submit"):
        review.frame.get_by_role("button", name=name).focus()
        for key in "xuz?hjkl":
            review.page.keyboard.press(key)
    assert review.status.inner_text() == "0 wrong, 0 can't tell, 4 correct"
    assert review.frame.locator("dialog[open]").count() == 0


def test_enter_on_a_picture_sends_and_changes_nothing(show: Any) -> None:
    """Enter on a picture only goes to Submit."""
    review = show(4)
    review.tiles.nth(0).click()
    review.tiles.nth(2).focus()
    review.page.keyboard.press("Enter")
    assert review.status.inner_text() == "1 wrong, 0 can't tell, 3 correct"
    review.answers(0)


@pytest.mark.parametrize(
    "place", [".bq-pick", ".bq-tools button", "#bq-help-open", "#bq-submit", "body", "dialog"]
)
def test_control_enter_submits_from_anywhere(show: Any, place: str) -> None:
    """Ctrl+Enter sends the answer, wherever in the frame the focus is."""
    review = show(4)
    review.tiles.nth(1).click()
    if place == "dialog":
        review.page.keyboard.press("?")
        assert review.frame.locator("#bq-help[open]").count() == 1
    elif place == "body":
        review.frame.locator("h1").click()
        assert review.frame.evaluate("document.activeElement === document.body")
    else:
        review.frame.locator(place).first.focus()
    review.page.keyboard.press("Control+Enter")
    assert marks_of(review.answer()) == answer_of(4, i1=WRONG)


def test_help_lists_the_keys(show: Any) -> None:
    """Help opens by button and by key, lists every key, says what is recorded, and gives the focus back."""
    review = show(4)
    review.frame.get_by_role("button", name="Help and keys").click()
    text = review.frame.get_by_role("dialog", name="Help and keys").inner_text()
    assert all(
        key in text for key in ("← ↓ ↑ →", "h j k l", "Home", "Space", "x", "u", "z", "?", "Enter", "Ctrl")
    )
    assert "seconds" in text
    review.page.keyboard.press("Escape")
    assert review.focused() == "Help and keys"
    review.tiles.nth(1).focus()
    review.page.keyboard.press("?")
    review.frame.get_by_role("dialog").get_by_role("button", name="Close").click()
    assert review.focused() == "Picture 2 of 4: Food"


def test_the_larger_view_steps_and_marks(show: Any) -> None:
    """The larger view shows the current picture, steps, marks, and leaves the focus where it ended."""
    review = show(5)
    dialog = review.frame.get_by_role("dialog")
    review.tiles.nth(1).focus()
    review.page.keyboard.press("z")
    assert dialog.get_by_role("heading").inner_text() == "Picture 2 of 5: Food"
    review.page.keyboard.press("ArrowRight")
    review.page.keyboard.press("x")
    assert dialog.get_by_role("heading").inner_text() == "Picture 3 of 5: not Food"
    assert dialog.locator("img").get_attribute("src") == "/picture/2?expires=9&sig=ab"
    review.page.keyboard.press("ArrowRight")
    dialog.get_by_role("button", name="Can't tell").click()
    review.page.keyboard.press("Escape")
    review.until('document.activeElement.textContent === "Picture 4 of 5: can\'t tell"')
    review.submit.click()
    answer = review.answer()
    assert marks_of(answer) == answer_of(5, i2=WRONG, i3=UNSURE)
    assert answer["meta"]["zooms"] == 1


# ---- Pictures that do not come, or come late


def test_a_broken_picture_cannot_be_judged(show: Any, portal: Any) -> None:
    """A picture that does not load says so, is sent as "can't tell", and no click confirms it."""
    portal.broken.add(2)
    review = show(5)
    review.tiles.nth(0).click()
    assert review.tiles.nth(2).inner_text().startswith("Picture 3 of 5: did not load, counted as can't tell")
    assert review.frame.locator(".is-broken .bq-word").inner_text() == "Did not load: can't tell"
    assert review.status.inner_text() == "1 wrong, 1 can't tell, 3 correct; 1 did not load"
    review.tiles.nth(2).click()
    review.wait()
    review.tiles.nth(2).focus()
    review.page.keyboard.press("u")
    review.submit.click()
    answer = review.answer()
    assert marks_of(answer) == answer_of(5, i0=WRONG, i2=UNSURE)
    assert answer["meta"]["broken"] == [2]


def test_a_broken_picture_can_be_tried_again(show: Any, portal: Any) -> None:
    """Retry loads a picture once more; then it is judged like any other."""
    portal.broken.add(2)
    review = show(5)
    review.tiles.nth(0).click()
    portal.broken.clear()
    review.frame.get_by_role("button", name="Retry loading picture 3").click()
    review.frame.get_by_text("Picture 3 is loaded now. Please look at it.").wait_for()
    assert review.focused() == "Picture 3 of 5: Food"
    review.submit.click()
    answer = review.answer()
    assert marks_of(answer) == answer_of(5, i0=WRONG)
    assert answer["meta"]["broken"] == []


def test_submit_waits_for_every_picture(show: Any, portal: Any) -> None:
    """Until each picture is there or has failed, nothing is sent and the page says how many are."""
    portal.slow[3] = threading.Event()
    review = show(5, wait=False)
    loading = review.frame.locator("#bq-loading")
    loading.get_by_text("Loading pictures: 4 of 5").wait_for()
    review.tiles.nth(0).click()
    assert review.submit.is_disabled()
    review.page.keyboard.press("Control+Enter")
    review.answers(0)
    portal.slow[3].set()
    review.wait()
    assert not loading.is_visible()
    review.submit.click()
    assert marks_of(review.answer()) == answer_of(5, i0=WRONG)


# ---- Without the script, without the library


def test_without_its_script_the_page_still_answers(show: Any) -> None:
    """With the inline script gone, pictures, boxes and Submit are there and give the same answer."""
    review = show(4, change=without_script)
    review.frame.get_by_role("checkbox", name="Correct").nth(1).click()
    review.frame.get_by_role("checkbox", name="Can't tell").nth(2).click()
    assert review.frame.get_by_role("img").count() == 4
    assert review.frame.get_by_role("button").count() == review.submit.count() == 1
    review.submit.click()
    [answer] = review.answers(1)
    both = {"Confirmed": True, "CannotJudge": True}
    assert answer == answer_of(4, i1=WRONG, i2=both) | {"meta": "{}"}


@pytest.mark.parametrize("where", ["function start() {", "function draw(tile) {", "function arrange() {"])
def test_a_failing_script_gives_way_to_the_plain_page(show: Any, where: str) -> None:
    """If the script throws while it starts, the plain page appears and answers."""
    review = show(
        4, change=lambda page: page.replace(where, where + " throw new Error('broken on purpose');")
    )
    review.frame.get_by_role("checkbox", name="Correct").nth(3).click()
    assert review.frame.get_by_role("img", name="Picture 1 of 4").is_visible()
    assert not review.frame.locator(".bq-pick").first.is_visible() if review.tiles.count() else True
    review.submit.click()
    [answer] = review.answers(1)
    assert marks_of(answer) == answer_of(4, i3=WRONG)


def test_a_late_failure_keeps_the_marks(show: Any) -> None:
    """If the script throws while in use, the plain page shows the marks made so far."""
    broken = "function setUnsure(tile) {"
    review = show(
        4, change=lambda page: page.replace(broken, broken + " throw new Error('broken on purpose');")
    )
    review.tiles.nth(1).click()
    review.page.keyboard.press("u")
    boxes = review.frame.get_by_role("checkbox", name="Correct")
    assert [boxes.nth(i).is_checked() for i in range(4)] == [True, False, True, True]
    review.submit.click()
    [answer] = review.answers(1)
    assert marks_of(answer) == answer_of(4, i1=WRONG)


def test_a_missing_library_is_reported(show: Any, portal: Any, browser: Any) -> None:
    """If the crowd elements have not come after 20 seconds, the page says that it has to be reloaded."""
    portal.library = False
    review = show(
        4, wait=False, before="window.setTimeout = ((real) => (work, ms) => real(work, ms / 50))(setTimeout)"
    )
    review.alert.get_by_text("could not be loaded, so the answer cannot be sent. Please reload").wait_for()


# ---- Labels and numbers of pictures


def test_a_hostile_label_is_only_text(show: Any) -> None:
    """A label with markup, quotes and Liquid is shown as it is, runs nothing and changes no name."""
    review = show(3, label=HOSTILE)
    assert review.frame.get_by_role("heading", level=1).inner_text() == f"Are these all “{HOSTILE}”?"
    review.tiles.nth(1).click()
    assert review.tiles.nth(1).inner_text() == f"Picture 2 of 3: not {HOSTILE}"
    assert review.frame.locator("b, img[src=x]").count() == 0
    review.submit.click()
    assert marks_of(review.answer()) == answer_of(3, i1=WRONG)


@pytest.mark.parametrize("count", [1, 2, 100])
def test_any_number_of_pictures(show: Any, count: int) -> None:
    """One picture, two or a hundred: the last one is marked and everything is sent."""
    review = show(count)
    review.tiles.nth(count - 1).click()
    review.submit.click()
    answer = review.answer()
    assert marks_of(answer) == answer_of(count, **{f"i{count - 1}": WRONG})
    assert answer["meta"]["shown"] == list(range(count))


def test_no_pictures(show: Any) -> None:
    """An empty task says so and can be submitted at once."""
    review = show(0)
    assert review.frame.get_by_role("heading", level=1).inner_text() == "Nothing to review"
    review.submit.click()
    assert marks_of(review.answer()) == {}


# ---- Room


@pytest.mark.parametrize(
    ("width", "height", "smallest"), [(1366, 768, 135), (1920, 1080, 190), (1366, 552, 104)]
)
def test_25_pictures_fit_without_scrolling(show: Any, width: int, height: int, smallest: int) -> None:
    """On a usual screen all 25 pictures and Submit are in view at once, and no tile is small."""
    review = show(width=width, height=height)
    sizes = review.frame.evaluate(
        """() => [...document.querySelectorAll(".bq-tile")].map((tile) => tile.getBoundingClientRect())
            .map((box) => [box.width, box.height, box.bottom])"""
    )
    bar = review.frame.locator(".bq-bar").evaluate("(bar) => bar.getBoundingClientRect().top")
    assert review.frame.evaluate("document.documentElement.scrollHeight <= window.innerHeight")
    assert all(
        across >= smallest and abs(across - high) < 1 and bottom <= bar for across, high, bottom in sizes
    )


def test_a_frame_that_grows_does_not_blow_up_the_tiles(show: Any) -> None:
    """In a frame higher than the screen, all pictures still fit the screen's height."""
    review = show(height=3000)
    last = review.frame.locator(".bq-tile").last.evaluate("(tile) => tile.getBoundingClientRect().bottom")
    assert last <= review.frame.evaluate("screen.availHeight") <= 1080


def test_the_page_does_not_jump(show: Any) -> None:
    """Nothing that is in view moves while the page loads."""
    observe = """window.shift = 0; new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) window.shift += entry.value;
    }).observe({type: "layout-shift", buffered: true})"""
    review = show(before=observe)
    review.page.wait_for_timeout(400)
    assert review.frame.evaluate("window.shift") < 0.01


@pytest.mark.parametrize(("width", "columns"), [(390, 3), (320, 2)])
def test_a_phone_shows_columns_and_buttons_below(show: Any, width: int, columns: int) -> None:
    """On a phone the columns are wide enough, and the buttons, 44 by 36, lie below the picture."""
    review = show(width=width, height=844, has_touch=True)
    tile = review.frame.locator(".bq-tile").first
    assert (
        review.frame.evaluate(
            "getComputedStyle(document.getElementById('bq-grid')).gridTemplateColumns.split(' ').length"
        )
        == columns
    )
    picture, button = (
        tile.locator("img").bounding_box(),
        tile.locator(".bq-tools button").first.bounding_box(),
    )
    assert button["y"] >= picture["y"] + picture["height"]
    assert button["width"] >= 44
    assert button["height"] >= 36
    review.tiles.nth(1).tap()
    tile.locator(".bq-tools button").first.tap()
    assert review.status.inner_text() == "1 wrong, 1 can't tell, 23 correct"


@pytest.mark.parametrize("width", [1366, 320])
def test_a_long_label_does_not_break_the_page(show: Any, portal: Any, width: int) -> None:
    """A label of 300 characters, half of them without a space, takes three lines and widens nothing."""
    portal.broken.add(3)
    review = show(label=LONG, width=width)
    review.tiles.nth(0).click()
    heading = review.frame.get_by_role("heading", level=1)
    assert heading.evaluate("(h1) => h1.clientHeight / parseFloat(getComputedStyle(h1).lineHeight)") < 3.5
    assert review.frame.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    review.tiles.nth(0).click()
    review.submit.click()
    assert review.frame.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    widths = review.frame.evaluate(
        "[...document.querySelectorAll('.bq-tile')].map((tile) => tile.offsetWidth)"
    )
    assert min(widths) >= 104


@pytest.mark.parametrize(("height", "position"), [(192, "static"), (420, "sticky")])
def test_the_bar_does_not_cover_a_low_window(show: Any, height: int, position: str) -> None:
    """Below 400 pixels of height, as at 400 % zoom, header and bar scroll with the page."""
    review = show(width=341, height=52 + height)
    for part in (".bq-head", ".bq-bar"):
        assert review.frame.locator(part).evaluate("(part) => getComputedStyle(part).position") == position


def test_what_has_the_focus_is_not_covered(show: Any) -> None:
    """Moving through a page that scrolls keeps the current picture between header and bar."""
    review = show(100, width=800, height=600)
    review.tiles.nth(0).focus()
    for key in ["ArrowDown"] * 12 + ["ArrowUp"] * 9:
        review.page.keyboard.press(key)
        assert review.frame.evaluate(
            """() => { const box = document.activeElement.getBoundingClientRect();
                return box.top >= document.querySelector(".bq-head").getBoundingClientRect().bottom
                    && box.bottom <= document.querySelector(".bq-bar").getBoundingClientRect().top; }"""
        )


# ---- Accessibility


def faults(review: Any) -> list[str]:
    """Return what axe has to complain about, inside the frame."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    found = axe.Axe().run(review.frame).response["violations"]
    return [f"{fault['id']}: {node['html']}" for fault in found for node in fault["nodes"]]


@pytest.mark.parametrize(("width", "height", "scheme"), [(1366, 768, "light"), (390, 844, "dark")])
def test_axe_finds_nothing(show: Any, portal: Any, width: int, height: int, scheme: str) -> None:
    """Axe has no complaint: before and after marking, in both dialogs, at the tick, after a failed save."""
    portal.broken.add(5)
    review = show(width=width, height=height, color_scheme=scheme)
    assert faults(review) == []
    review.tiles.nth(0).click()
    review.tiles.nth(3).focus()
    review.page.keyboard.press("u")
    assert faults(review) == []
    review.page.keyboard.press("z")
    assert faults(review) == []
    review.page.keyboard.press("Escape")
    review.page.keyboard.press("?")
    assert faults(review) == []
    review.page.keyboard.press("Escape")
    review.tiles.nth(0).click()
    review.submit.click()
    review.attest.wait_for()
    assert faults(review) == []
    review.page.evaluate("window.reply = {type: 'bulkqa:failed', message: 'No connection.'}")
    review.attest.click()
    review.submit.click()
    review.alert.wait_for()
    assert faults(review) == []


def test_axe_finds_nothing_on_the_plain_page(show: Any) -> None:
    """The page without its script has no fault either, the stand-in's own boxes and button included."""
    review = show(6, change=without_script)
    review.page.wait_for_timeout(300)
    assert faults(review) == []


def test_dark_pictures_keep_a_white_ground(show: Any) -> None:
    """In the dark scheme the page is dark and pictures still lie on white."""
    review = show(3, color_scheme="dark")
    ground = "(element) => getComputedStyle(element).backgroundColor"
    assert review.frame.locator("#bq").evaluate(ground) == "rgb(20, 24, 30)"
    assert review.frame.locator(".bq-tile img").first.evaluate(ground) == "rgb(255, 255, 255)"


# ---- The stand-in for the crowd elements, with templates of other people

EVERYTHING = """<!doctype html><html lang="en"><head><title>All</title>
<script src="https://assets.crowd.aws/crowd-html-elements.js"></script></head><body><main>
<h1>All elements</h1>
<crowd-form>
  <crowd-instructions link-text="How to"><short-summary>Short</short-summary>
    <detailed-instructions>Long</detailed-instructions></crowd-instructions>
  <crowd-alert type="info" dismissible>Note</crowd-alert>
  <crowd-tabs><crowd-tab header="One">First</crowd-tab><crowd-tab header="Two">Second</crowd-tab></crowd-tabs>
  <short-instructions>In short</short-instructions>
  <full-instructions header="All">At length</full-instructions>
  <crowd-card image="/picture/1?a" heading="A card"></crowd-card><crowd-tab>stray</crowd-tab>
  <crowd-checkbox name="c" value="on-1" checked>One</crowd-checkbox>
  <crowd-checkbox name="c" value="off-1" checked="false">Two</crowd-checkbox>
  <crowd-checkbox name="bare" checked="true">Three</crowd-checkbox>
  <crowd-checkbox name="no words" value="v"></crowd-checkbox>
  <crowd-toggle-button name="t" value="v">Toggle</crowd-toggle-button>
  <crowd-radio-group><crowd-radio-button name="r" value="a" checked>A</crowd-radio-button>
    <crowd-radio-button name="r" value="b">B</crowd-radio-button></crowd-radio-group>
  <crowd-input name="text" label="Text" max-length="5"></crowd-input>
  <crowd-input name="empty" label="Nothing"></crowd-input>
  <crowd-text-area name="area" label="Area" value="kept"></crowd-text-area>
  <input type="hidden" name="hidden" value="h">
  <label>Choice <select name="choice"><option value="1">x</option>
    <option value="2" selected>y</option></select></label>
</crowd-form></main></body></html>"""


def test_every_element_answers_in_its_documented_shape(show: Any) -> None:
    """Boxes and radios give booleans under name and value, texts give text, an empty crowd-input nothing."""
    review = show(0, template=EVERYTHING, wait=False)
    assert faults(review) == []
    review.frame.get_by_role("checkbox", name="Two").click()
    review.frame.get_by_role("switch", name="Toggle").click()
    review.frame.get_by_role("radio", name="B").click()
    review.frame.get_by_role("textbox", name="Text").press_sequentially("abcdefgh")
    review.frame.get_by_role("tab", name="Two").click()
    assert review.frame.get_by_role("tabpanel").all_inner_texts() == ["Second"]
    review.frame.get_by_role("button", name="Dismiss").click()
    assert not review.frame.get_by_text("Note").is_visible()
    assert faults(review) == []
    review.submit.click()
    assert review.answers(1) == [
        {
            "c": {"on-1": True, "off-1": True},
            "bare": {"on": True},
            "no words": {"v": False},
            "t": {"v": True},
            "r": {"a": False, "b": True},
            "text": "abcde",
            "area": "kept",
            "hidden": "h",
            "choice": "2",
        }
    ]


def test_radio_buttons_follow_the_arrows(show: Any) -> None:
    """In a radio group an arrow key moves the choice, and exactly one is chosen."""
    review = show(0, template=EVERYTHING, wait=False)
    review.frame.get_by_role("radio", name="A").focus()
    review.page.keyboard.press("ArrowDown")
    radios = review.frame.get_by_role("radio")
    assert [radios.nth(i).is_checked() for i in range(2)] == [False, True]


def test_a_template_may_fill_or_stop_the_answer(show: Any) -> None:
    """`onsubmit` and submit listeners run before the answer is read, and `preventDefault` keeps it back."""
    review = show(
        0,
        template="""<html lang="en"><crowd-form><input type="hidden" name="x" id="x" value="">
          <crowd-button form-action="submit">Submit</crowd-button></crowd-form>
          <script>let tries = 0;
            const field = document.getElementById("x");
            document.querySelector("crowd-form").onsubmit = () => { field.value = "filled"; };
            document.addEventListener("submit", (event) => { if (tries++ === 0) event.preventDefault(); });
          </script><script src="https://assets.crowd.aws/crowd-html-elements.js"></script>""",
        wait=False,
    )
    review.submit.click()
    review.answers(0)
    assert review.submit.count() == 1
    review.submit.press("Enter")
    assert review.answers(1) == [{"x": "filled"}]


def test_what_is_required_is_asked_for(show: Any) -> None:
    """An empty required field keeps the answer back; Enter in the field submits as the button does."""
    review = show(
        0,
        template='<html lang="en"><crowd-form><crowd-input name="a" label="A" required></crowd-input>'
        '<input name="b" aria-label="B"></crowd-form><script src="https://assets.crowd.aws/crowd-html-elements.js">'
        "</script>",
        wait=False,
    )
    review.submit.click()
    review.answers(0)
    review.frame.get_by_role("textbox", name="A").fill("done")
    review.frame.get_by_role("textbox", name="B").press("Enter")
    assert review.answers(1) == [{"a": "done", "b": ""}]


def test_the_label_in_a_name_comes_back_exactly(show: Any) -> None:
    """Names as other templates make them, from the label and a number, are sent unchanged."""
    review = show(
        12,
        label=HOSTILE,
        template="""<html lang="en"><script src="https://assets.crowd.aws/crowd-html-elements.js"></script>
          <crowd-form>{% for entry in task.input.sourceRef %}<div>
          <img alt="" src="{{ entry.s3_image_url | grant_read_access }}">
          <crowd-checkbox name="{{ entry.label }}-{{ forloop.index0 }}" value="Confirmed" checked /></div>
          {% endfor %}</crowd-form>""",
        wait=False,
    )
    review.frame.get_by_role("checkbox").nth(10).click()
    review.submit.click()
    assert review.answers(1) == [{f"{HOSTILE}-{i}": {"Confirmed": i != 10} for i in range(12)}]
