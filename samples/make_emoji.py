"""Make the emoji demo corpus: pictures, a real model's labels, and the truth.

This is a maintainer's script. It is run once, its results are committed, and nothing else imports it.

What it does:

1. It takes Microsoft's Fluent Emoji (3D style) and sorts them into classes by their Unicode subgroup
   (``CLASSES``). Pictures whose class a person could not judge by looking are left out (``EXCLUDED``).
2. It trains a small image classifier by cross-validation: each picture is labelled by a model that never saw
   that picture. So labels and confidences are a real model's, and so are its errors. None is planted.
3. It keeps the confident predictions, draws an even share per label, shuffles, and writes pictures with
   numbered names, ``corpus.csv`` (what the model said) and ``truth.csv`` (what the pictures show).

Needs, beside Python 3.11 or later (versions of the committed run): numpy 2.4.6, scikit-learn 1.9.1 (1.11 and
later no longer have what it uses), scikit-image 0.26.0, pillow 13.0.0. Pictures and names come from two npm
packages, unpacked:

    npm pack @lobehub/fluent-emoji-3d@1.1.0 emojibase-data@17.0.0
    mkdir pictures names
    tar xzf lobehub-fluent-emoji-3d-1.1.0.tgz -C pictures --strip-components=1
    tar xzf emojibase-data-17.0.0.tgz -C names --strip-components=1
    python samples/make_emoji.py pictures names samples/emoji

The same inputs, versions and seed give the same files. Other versions of the libraries may move a confidence
by a little, and so may swap a picture.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.feature import hog
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

SIZE = 160  # pixels, width and height of a written picture
QUALITY = 82  # WebP quality of a written picture
LEAST_CONFIDENCE = 30.0  # per cent; less confident predictions are not shown
MOST_PER_LABEL = 50
LEAST_PER_LABEL = 9  # labels with fewer pictures are dropped
NEWEST_EMOJI = 15.0  # later emoji are not in the upstream set

#: Class name -> the Unicode subgroups that belong to it.
CLASSES: dict[str, tuple[str, ...]] = {
    "Smiley": (
        "face-smiling",
        "face-affection",
        "face-tongue",
        "face-hand",
        "face-neutral-skeptical",
        "face-sleepy",
        "face-unwell",
        "face-hat",
        "face-glasses",
        "face-concerned",
        "face-negative",
    ),
    "Heart": ("heart",),
    "Hand": (
        "hand-fingers-open",
        "hand-fingers-partial",
        "hand-single-finger",
        "hand-fingers-closed",
        "hands",
        "hand-prop",
    ),
    "Animal": (
        "animal-mammal",
        "animal-bird",
        "animal-amphibian",
        "animal-reptile",
        "animal-marine",
        "animal-bug",
    ),
    "Plant": ("plant-flower", "plant-other"),
    "Food or drink": (
        "food-fruit",
        "food-vegetable",
        "food-prepared",
        "food-asian",
        "food-sweet",
        "drink",
    ),
    "Vehicle": ("transport-ground", "transport-water", "transport-air"),
    "Building": ("place-building", "place-religious"),
    "Sky or weather": ("sky-weather",),
    "Clothing": ("clothing",),
    "Electronics": ("phone", "computer", "light-video"),
    "Musical instrument": ("musical-instrument",),
    "Office supplies": ("book-paper", "writing", "office"),
    "Sports equipment": ("sport",),
    "Tool": ("tool",),
}

#: Why pictures are left out -> their emoji names. They are not in the training either.
EXCLUDED: dict[str, tuple[str, ...]] = {
    "not in the set that Microsoft published, or there in another drawing": (
        "black bird",
        "paperclip",
    ),
    "a face, but one could argue whether it is a smiley": (
        "first quarter moon face",
        "full moon face",
        "last quarter moon face",
        "new moon face",
        "skull",
        "skull and crossbones",
        "sun with face",
        "wind face",
    ),
    "has a heart in it, but one could argue whether it is a heart": (
        "heart decoration",
        "heart exclamation",
        "heart hands",
        "love letter",
    ),
    "not for every audience": (
        "face vomiting",
        "middle finger",
    ),
    "only a part or a trace of an animal, or an animal only in tales": (
        "coral",
        "dragon",
        "dragon face",
        "feather",
        "microbe",
        "oyster",
        "paw prints",
        "pig nose",
        "spider web",
        "spiral shell",
        "unicorn",
        "wing",
    ),
    "in the plant subgroups, but one could argue whether it is a plant": (
        "empty nest",
        "mushroom",
        "nest with eggs",
        "rosette",
        "sheaf of rice",
        "white flower",
    ),
    "not food itself, or hard to tell for who does not know it": (
        "baby bottle",
        "fish cake with swirl",
        "fried shrimp",
        "mate",
        "takeout box",
        "tamale",
        "teapot",
    ),
    "in the transport subgroups, but not surely a vehicle": (
        "anchor",
        "bus stop",
        "construction",
        "fuel pump",
        "horizontal traffic light",
        "kick scooter",
        "manual wheelchair",
        "motorized wheelchair",
        "motorway",
        "oil drum",
        "parachute",
        "police car light",
        "railway track",
        "ring buoy",
        "roller skate",
        "satellite",
        "seat",
        "skateboard",
        "station",
        "stop sign",
        "vertical traffic light",
        "wheel",
    ),
    "in the building subgroups, but not surely a building": (
        "Statue of Liberty",
        "brick",
        "building construction",
        "rock",
        "shinto shrine",
        "wood",
    ),
    "in the weather subgroup, but not surely sky or weather": (
        "closed umbrella",
        "cyclone",
        "droplet",
        "fire",
        "fog",
        "high voltage",
        "ringed planet",
        "snowman",
        "snowman without snow",
        "thermometer",
        "umbrella",
        "umbrella on ground",
        "umbrella with rain drops",
        "water wave",
    ),
    "worn or carried, but one could argue whether it is clothing": (
        "backpack",
        "boxing glove",
        "clutch bag",
        "crown",
        "diving mask",
        "folding hand fan",
        "gem stone",
        "glasses",
        "goggles",
        "hair pick",
        "handbag",
        "ice skate",
        "lipstick",
        "martial arts uniform",
        "military helmet",
        "prayer beads",
        "purse",
        "rescue worker\N{RIGHT SINGLE QUOTATION MARK}s helmet",
        "ring",
        "running shirt",
        "shopping bags",
        "sunglasses",
    ),
    "in the device subgroups, but not surely electronics": (
        "abacus",
        "battery",
        "candle",
        "clapper board",
        "computer disk",
        "diya lamp",
        "dvd",
        "electric plug",
        "film frames",
        "flashlight",
        "floppy disk",
        "light bulb",
        "low battery",
        "magnifying glass tilted left",
        "magnifying glass tilted right",
        "optical disk",
        "red paper lantern",
        "videocassette",
    ),
    "in the paper and office subgroups, but not surely office supplies": (
        "bar chart",
        "blue book",
        "bookmark",
        "books",
        "briefcase",
        "chart decreasing",
        "chart increasing",
        "closed book",
        "green book",
        "label",
        "newspaper",
        "notebook with decorative cover",
        "open book",
        "orange book",
        "rolled-up newspaper",
        "scroll",
        "wastebasket",
    ),
    "in the sport subgroup, but shows more than equipment, or something to ride": (
        "fishing pole",
        "flag in hole",
        "sled",
    ),
    "in the tool subgroup, but not surely a tool": (
        "balance scale",
        "bomb",
        "boomerang",
        "bow and arrow",
        "chains",
        "crossed swords",
        "dagger",
        "gear",
        "hook",
        "link",
        "magnet",
        "nut and bolt",
        "shield",
        "toolbox",
        "white cane",
    ),
}

#: Pairs (predicted label, subgroup of the picture) for which "is it one?" has no clear answer:
#: a tomato is food and grows on a plant; a lobster is an animal and a dish.
UNDECIDABLE: frozenset[tuple[str, str]] = frozenset(
    {
        ("Plant", "food-fruit"),
        ("Plant", "food-vegetable"),
        ("Food or drink", "animal-marine"),
        ("Office supplies", "computer"),
        ("Office supplies", "phone"),
        ("Office supplies", "tool"),
    }
)


@dataclass(frozen=True)
class Emoji:
    """One picture: its name, where it lies, and what it shows."""

    name: str
    path: Path
    subgroup: str
    true_label: str


@dataclass(frozen=True)
class Prediction:
    """What the model said about one picture; ``confidence`` in per cent."""

    emoji: Emoji
    label: str
    confidence: float

    @property
    def wrong(self) -> bool:
        """Whether the model's label is not what the picture shows."""
        return self.label != self.emoji.true_label


def read_emoji(pictures: Path, names: Path) -> list[Emoji]:
    """Return the emoji of ``CLASSES`` that have a picture and are not excluded, in Unicode order.

    Args:
        pictures: The unpacked npm package ``@lobehub/fluent-emoji-3d``.
        names: The unpacked npm package ``emojibase-data``.

    Raises:
        ValueError: A name in ``EXCLUDED`` is in no class, which hints at a typing error.
    """
    subgroups = json.loads((names / "meta/groups.json").read_text(encoding="utf-8"))["subgroups"]
    entries = json.loads((names / "en/data.json").read_text(encoding="utf-8"))
    class_of = {subgroup: label for label, members in CLASSES.items() for subgroup in members}
    excluded = {name for group in EXCLUDED.values() for name in group}
    unused = set(excluded)
    found = []
    for entry in sorted(entries, key=lambda entry: entry.get("order", 0)):
        subgroup = subgroups.get(str(entry.get("subgroup")))
        if subgroup not in class_of:
            continue
        unused.discard(entry["label"])
        if entry["version"] > NEWEST_EMOJI or entry["label"] in excluded:
            continue
        path = picture_path(pictures, entry["hexcode"])
        if path is not None:
            found.append(Emoji(entry["label"], path, subgroup, class_of[subgroup]))
    if unused:
        raise ValueError(f"excluded, but in no class: {', '.join(sorted(unused))}")
    return found


def picture_path(pictures: Path, hexcode: str) -> Path | None:
    """Return the file of an emoji's picture, named by its code points, or None if there is none."""
    stem = hexcode.lower()
    candidates = (pictures / "assets" / f"{name}.webp" for name in (stem, f"{stem}-fe0f"))
    return next((path for path in candidates if path.is_file()), None)


def load(path: Path) -> Image.Image:
    """Return a picture with its transparency."""
    with Image.open(path) as picture:
        return picture.convert("RGBA")


def on_white(picture: Image.Image) -> Image.Image:
    """Return the picture without transparency, on a white ground."""
    ground = Image.new("RGBA", picture.size, "white")
    ground.alpha_composite(picture)
    return ground.convert("RGB")


def features(picture: Image.Image) -> NDArray[np.float64]:
    """Describe a picture by its edges, its colours, its outline and a coarse thumbnail."""
    flat = on_white(picture)
    alpha = picture.getchannel("A")

    grey = np.asarray(flat.convert("L").resize((96, 96))) / 255
    edges = hog(grey, orientations=9, pixels_per_cell=(16, 16), cells_per_block=(1, 1))

    inside = np.asarray(flat)[np.asarray(alpha) > 127]
    counts, _ = np.histogramdd(inside, bins=(4, 4, 4), range=[(0, 256)] * 3)
    colours = np.sqrt(counts.ravel() / max(1, len(inside)))

    outline = np.asarray(alpha.resize((16, 16))).ravel() / 255
    thumbnail = np.asarray(flat.resize((6, 6))).ravel() / 255
    return np.concatenate([edges, colours, outline, thumbnail])


def predict(emoji: Sequence[Emoji], seed: int) -> list[Prediction]:
    """Label every picture by a model trained without it (5-fold cross-validation)."""
    described = np.stack([features(load(one.path)) for one in emoji])
    truth = np.array([one.true_label for one in emoji])
    model = make_pipeline(StandardScaler(), SVC(C=5, kernel="rbf", probability=True, random_state=seed))
    folds = StratifiedKFold(n_splits=5, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # scikit-learn 1.9 and 1.10 announce that 1.11 will no longer know probability=True. The successor it
        # names, CalibratedClassifierCV, was right less often here and never more than 80 % confident.
        warnings.filterwarnings("ignore", message="The `probability` parameter", category=FutureWarning)
        shares = cross_val_predict(model, described, truth, cv=folds, method="predict_proba")
    labels = np.unique(truth)  # the order of the columns
    return [
        Prediction(one, str(labels[row.argmax()]), round(100 * float(row.max()), 4))
        for one, row in zip(emoji, shares, strict=True)
    ]


def choose(predictions: Iterable[Prediction], seed: int) -> list[Prediction]:
    """Keep confident, decidable predictions, an even share per label, in an order that tells nothing."""
    chance = random.Random(seed)
    by_label: defaultdict[str, list[Prediction]] = defaultdict(list)
    for one in predictions:
        if one.confidence >= LEAST_CONFIDENCE and (one.label, one.emoji.subgroup) not in UNDECIDABLE:
            by_label[one.label].append(one)
    chosen = []
    for _, group in sorted(by_label.items()):
        if len(group) >= LEAST_PER_LABEL:
            chosen += chance.sample(group, min(len(group), MOST_PER_LABEL))
    chance.shuffle(chosen)
    return chosen


def write(chosen: Sequence[Prediction], target: Path) -> None:
    """Write the pictures, ``corpus.csv`` and ``truth.csv``; pictures of an earlier run are removed."""
    images = target / "images"
    images.mkdir(parents=True, exist_ok=True)
    for old in images.glob("*.webp"):
        old.unlink()
    corpus = [("image_local_path", "label", "confidence")]
    truth = [("image_local_path", "true_label")]
    for number, one in enumerate(chosen, start=1):
        name = f"{number:04}.webp"
        small = on_white(load(one.emoji.path).resize((SIZE, SIZE), Image.Resampling.LANCZOS))
        small.save(images / name, quality=QUALITY, method=6)
        corpus.append((name, one.label, f"{one.confidence:.4f}"))
        truth.append((name, one.emoji.true_label))
    write_csv(target / "corpus.csv", corpus)
    write_csv(target / "truth.csv", truth)


def write_csv(path: Path, rows: Iterable[Sequence[str]]) -> None:
    """Write rows as CSV, in UTF-8 with plain line feeds."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def summary(chosen: Sequence[Prediction]) -> str:
    """Return the tables of ``samples/README.md``: wrong labels by label and by confidence."""
    lines = ["| Label | Pictures | Wrong |", "|---|---|---|"]
    total = Counter(one.label for one in chosen)
    wrong = Counter(one.label for one in chosen if one.wrong)
    for label, count in total.most_common():
        lines.append(f"| {label} | {count} | {wrong[label]} |")
    lines.append(f"| All | {total.total()} | {wrong.total()} |")
    lines += ["", "| Confidence | Pictures | Wrong | Wrong, % |", "|---|---|---|---|"]
    for low, high in ((30, 40), (40, 50), (50, 60), (60, 70), (70, 80), (80, 101)):
        group = [one for one in chosen if low <= one.confidence < high]
        bad = sum(one.wrong for one in group)
        share = 100 * bad / len(group) if group else 0
        lines.append(f"| {low}-{min(high, 100)} | {len(group)} | {bad} | {share:.1f} |")
    return "\n".join(lines)


def main() -> None:
    """Read the arguments and make the corpus."""
    parser = argparse.ArgumentParser(description="Make the emoji demo corpus.")
    parser.add_argument("pictures", type=Path, help="unpacked npm package @lobehub/fluent-emoji-3d")
    parser.add_argument("names", type=Path, help="unpacked npm package emojibase-data")
    parser.add_argument("target", type=Path, help="directory to write to, such as samples/emoji")
    parser.add_argument("--seed", type=int, default=7, help="for folds, draw and order (%(default)s)")
    arguments = parser.parse_args()

    predictions = predict(read_emoji(arguments.pictures, arguments.names), arguments.seed)
    chosen = choose(predictions, arguments.seed)
    write(chosen, arguments.target)
    correct = sum(not one.wrong for one in predictions)
    print(f"Labelled {len(predictions)} pictures, {correct / len(predictions):.1%} correctly.\n")
    print(summary(chosen))


if __name__ == "__main__":
    main()
