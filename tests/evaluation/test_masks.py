"""Masks are measured pixel by pixel, per anomaly label; a mask that cannot be right is refused by name."""

import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sklearn.metrics import jaccard_score, precision_recall_fscore_support

from bulkqa.errors import InputError
from bulkqa.evaluation.masks import Mask, MaskFolder, Masks, Overlap, PixelTally, find_file

COLOURS = {"": "#ffffff", "scratch": "#2ca02c", "dent": "#1f77b4"}
MAP = {
    "0": {"class-name": "BACKGROUND", "hex-color": "#ffffff", "confidence": 0.0},
    "1": {"class-name": "scratch", "hex-color": "#2CA02C", "confidence": 0.0},
    "2": {"class-name": "dent", "hex-color": "#1f77b4", "confidence": 0.0},
}


def save(path: Path, rows: list[list[str]], mode: str = "RGB") -> None:
    """Write a mask of labels, "" being the background."""
    pixels = [[tuple(bytes.fromhex(COLOURS.get(one, one)[1:])) for one in row] for row in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.array(pixels, dtype=np.uint8))
    (image.quantize() if mode == "P" else image.convert(mode)).save(path)


def line(true: str | None = None, predicted: str | None = None, colours: Any = MAP) -> dict[str, object]:
    """What a line says of its masks."""
    found: dict[str, object] = {}
    for key, reference in (("anomaly-mask-ref", true), ("anomaly-mask-ref-detected", predicted)):
        if reference is not None:
            found |= {key: reference, f"{key}-metadata": {"internal-color-map": colours}}
    return found


def test_each_label_is_counted_in_both_masks(tmp_path: Path) -> None:
    """Two of three scratched pixels are found, a dent is imagined; the mean is over images with the label."""
    save(tmp_path / "true/1.png", [["scratch", "scratch", "scratch", ""]])
    save(tmp_path / "predicted/1.png", [["", "scratch", "scratch", "dent"]])
    save(tmp_path / "true/2.png", [["dent", "dent"]])
    folder, tally = MaskFolder(tmp_path, "x.json"), PixelTally()
    first = folder.read(1, line("s3://b/true/1.png", "s3://b/predicted/1.png")).overlaps()
    assert first == {"scratch": Overlap(2, 2, 3), "dent": Overlap(0, 1, 0)}
    second = folder.read(2, line("s3://b/true/2.png")).overlaps()
    assert second == {"dent": Overlap(0, 0, 2)}
    for one in (first, second, folder.read(3, line()).overlaps()):
        tally.add(one)
    dent, scratch = tally.metrics()
    assert (scratch.precision, scratch.recall, scratch.f1, scratch.aiou) == (1, 2 / 3, 0.8, 2 / 3)
    assert (dent.precision, dent.recall, dent.f1, dent.aiou) == (0, 0, 0, 0)
    assert tally.images() == {"dent": 1, "scratch": 1}


def test_only_labels_of_the_test_set_have_an_entry(tmp_path: Path) -> None:
    """A label that is predicted and in no true mask has none, nor has the background."""
    save(tmp_path / "p.png", [["dent", ""]])
    tally = PixelTally()
    tally.add(MaskFolder(tmp_path, "x").read(1, line(predicted="p.png")).overlaps())
    assert (tally.metrics(), tally.images()) == ([], {"dent": 0})


LABEL = st.sampled_from(["", "scratch", "dent"])
PIXELS = st.lists(st.tuples(LABEL, LABEL), min_size=6, max_size=6)


@given(images=st.lists(PIXELS, min_size=1, max_size=4))
def test_the_metrics_are_scikit_learns_over_the_pixels(images: list[list[tuple[str, str]]]) -> None:
    """Precision, recall and F1 over all pixels, and the mean of each image's Jaccard index, agree."""
    names = ("scratch", "dent")

    def mask(labels: list[str]) -> Mask:
        numbers = np.array([0 if one == "" else names.index(one) + 1 for one in labels])
        return Mask(names, ("#2ca02c", "#1f77b4"), numbers.reshape(2, 3), Path("m"))

    tally = PixelTally()
    for pixels in images:
        true, predicted = map(list, zip(*pixels, strict=True))
        tally.add(Masks(mask(true), mask(predicted)).overlaps())
    flat = [pair for pixels in images for pair in pixels]
    for found in tally.metrics():
        true, predicted = ([one == found.label for one in side] for side in zip(*flat, strict=True))
        theirs = precision_recall_fscore_support(true, predicted, average="binary", zero_division=0)[:3]
        assert (found.precision or 0, found.recall, found.f1) == pytest.approx(theirs)
        assert (found.precision is None) == (not any(predicted))
        shares = [
            jaccard_score(*([one == found.label for one in side] for side in zip(*pixels, strict=True)))
            for pixels in images
            if any(found.label in pair for pair in pixels)
        ]
        assert found.aiou == pytest.approx(sum(shares) / len(shares))
    assert {one.label for one in tally.metrics()} == {true for true, _ in flat} - {""}


def test_maps_of_both_masks_may_differ(tmp_path: Path) -> None:
    """The label counts, not its number or colour; the edge application's word for a class is `name`."""
    save(tmp_path / "t.png", [["scratch", ""]])
    save(tmp_path / "p.png", [["dent", "#000000"]])
    other = {
        "0": {"name": "background", "hex-color": "#000000"},
        "1": {"name": "scratch", "hex-color": "#1f77b4", "total-percentage-area": 0.5},
    }
    fields = line("t.png", "p.png")
    fields["anomaly-mask-ref-detected-metadata"] = {"internal-color-map": other}
    assert MaskFolder(tmp_path, "x").read(1, fields).overlaps() == {"scratch": Overlap(1, 1, 1)}


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_every_kind_of_png_is_read(tmp_path: Path, mode: str) -> None:
    """With a palette or an alpha channel the colours are the same; white is background without saying so."""
    save(tmp_path / "t.png", [["scratch", "", "dent"]], mode)
    colours = {key: entry for key, entry in MAP.items() if key != "0"}
    found = MaskFolder(tmp_path, "x").read(1, line("t.png", colours=colours)).overlaps()
    assert found == {"scratch": Overlap(0, 0, 1), "dent": Overlap(0, 0, 1)}


def refusal(folder: Path, fields: dict[str, object]) -> str:
    """Why the masks of a line are refused."""
    with pytest.raises(InputError) as error:
        MaskFolder(folder, "x.json").read(7, fields)
    return str(error.value)


def test_a_mask_that_cannot_be_right_is_refused(tmp_path: Path) -> None:
    """Each message has the line, and the file or field that is wrong with what it has."""
    save(tmp_path / "a.png", [["scratch", ""]])
    save(tmp_path / "b.png", [["scratch"], [""]])
    save(tmp_path / "c.png", [["scratch", "#0000ff"]])
    (tmp_path / "d.png").write_bytes(b"\x89PNG no")
    Image.new("RGB", (2, 1)).save(tmp_path / "e.png", format="JPEG")
    at = "x.json, line 7"
    assert refusal(tmp_path, line("a.png", "b.png")) == (
        f"{at}: the masks are not of the same size: {tmp_path}/a.png (2 x 1), {tmp_path}/b.png (1 x 2)"
    )
    assert refusal(tmp_path, line("c.png")) == (
        f"{at}: {tmp_path}/c.png: the colour #0000ff at x 1, y 0 is not in internal-color-map"
    )
    assert refusal(tmp_path, line("s3://b/gone.png")) == (
        f"{at}: anomaly-mask-ref 's3://b/gone.png': no such file below {tmp_path}"
    )
    assert refusal(tmp_path, line(predicted="d.png")).startswith(
        f"{at}: {tmp_path}/d.png: the mask cannot be"
    )
    assert "has to be PNG, whose colours are exact; it is JPEG" in refusal(tmp_path, line("e.png"))
    same = refusal(tmp_path, line("s3://b/true/a.png", "s3://b/predicted/a.png"))
    assert same == f"{at}: true and predicted mask are the same file: {tmp_path}/a.png"
    assert refusal(tmp_path, {"anomaly-mask-ref": 3}) == f"{at}: 'anomaly-mask-ref' is no text"


@pytest.mark.parametrize(
    ("colours", "says"),
    [
        (None, "'internal-color-map' is missing"),
        ({"1": {"hex-color": "#2ca02c"}}, "internal-color-map '1': class-name is missing"),
        ({"1": {"class-name": "a", "hex-color": "green"}}, "hex-color 'green' is no colour, such as #2ca02c"),
        ({"1": {"class-name": "a", "hex-color": "#2ca02g"}}, "hex-color '#2ca02g' is no colour"),
        (
            {n: {"class-name": n, "hex-color": "#2ca02c"} for n in "ab"},
            "internal-color-map 'b': the colour #2ca02c stands for two labels",
        ),
        (
            {n: {"class-name": "a", "hex-color": f"#2ca02{n}"} for n in "01"},
            "internal-color-map has a label twice",
        ),
    ],
)
def test_a_map_that_cannot_be_right_is_refused(tmp_path: Path, colours: Any, says: str) -> None:
    """The message has the line, the attribute and the entry."""
    save(tmp_path / "a.png", [["scratch"]])
    message = refusal(tmp_path, line("a.png", colours=colours))
    assert message.startswith("x.json, line 7: anomaly-mask-ref-metadata")
    assert says in message


def test_a_mask_that_is_much_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture made to fill the memory is not opened."""
    save(tmp_path / "a.png", [["scratch"] * 30] * 30)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert "the mask cannot be read" in refusal(tmp_path, line("a.png"))


def test_a_reference_is_found_by_as_much_of_it_as_there_is(tmp_path: Path) -> None:
    """Leading folders are left off one by one; nothing outside the folder is ever named."""
    for name in ("1.png", "masks/1.png"):
        save(tmp_path / "dir" / name, [["dent"]])
    save(tmp_path / "secret.png", [["dent"]])
    folder = tmp_path / "dir"
    assert find_file(folder, "s3://b/out/masks/1.png") == folder / "masks/1.png"
    assert find_file(folder, "s3://b/other/1.png") == folder / "1.png"
    assert find_file(folder, "file://data/masks/1.png") == folder / "masks/1.png"
    for reference in ("../secret.png", "s3://b/../secret.png", str(tmp_path / "secret.png"), "", "s3://"):
        assert find_file(folder, reference) is None


def test_a_drawing_fills_what_is_predicted_and_outlines_what_is_true() -> None:
    """Predicted pixels are half transparent, the rim of true ones is not, all else is clear."""
    true, predicted = np.zeros((2, 9, 9), dtype=np.int16)
    true[1:8, 1:8] = 1
    predicted[4, 4] = predicted[0, 0] = 1
    masks = [Mask(("dent",), ("#1f77b4",), pixels, Path("m")) for pixels in (true, predicted)]
    drawing = Masks(*masks).drawing()
    assert drawing is not None
    with Image.open(BytesIO(drawing)) as image:
        colour = (0x1F, 0x77, 0xB4)
        assert image.getpixel((0, 0)) == image.getpixel((4, 4)) == (*colour, 130)
        assert image.getpixel((1, 4)) == (*colour, 255)
        assert image.getpixel((3, 3)) == image.getpixel((8, 8)) == (0, 0, 0, 0)
    assert Masks(None, None).drawing() is None


def test_a_large_drawing_loses_no_fine_line() -> None:
    """Scaled down to 512 pixels, a line of one pixel is still there."""
    pixels = np.zeros((1030, 2050), dtype=np.int16)
    pixels[:, 1001] = 1
    drawing = Masks(None, Mask(("scratch",), ("#2ca02c",), pixels, Path("m"))).drawing()
    assert drawing is not None
    with Image.open(BytesIO(drawing)) as image:
        assert max(image.size) <= 512
        assert image.getpixel((1001 // 5, 7)) == (0x2C, 0xA0, 0x2C, 130)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """The message names it."""
    with pytest.raises(InputError, match="gone: no such folder of masks"):
        MaskFolder(tmp_path / "gone", "x.json")


@pytest.mark.slow
def test_without_pillow_it_is_said_what_to_install(tmp_path: Path) -> None:
    """Importing works without it, and the message names the extra."""
    code = (
        "import sys; sys.modules['PIL'] = None; from pathlib import Path; "
        "from bulkqa.evaluation.masks import MaskFolder; MaskFolder(Path(), 'x')"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "masks need the extra 'analysis': pip install 'bulkqa[analysis]'" in run.stderr
