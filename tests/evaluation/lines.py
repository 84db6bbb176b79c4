"""Lines of the services' manifests, as tests write them."""

import json
from typing import Any

ARN = "arn:aws:lookoutvision:eu-west-1:123456789012:model/parts/1"


def as_lines(*objects: Any) -> list[bytes]:
    """Objects as the physical lines of a file."""
    return [json.dumps(one, ensure_ascii=False).encode() + b"\n" for one in objects]


def lookout(image: str, truth: str, predicted: str, confidence: float | None, **more: Any) -> dict[str, Any]:
    """A line of an evaluation manifest. The integers are the wrong way round: nobody may look at them."""
    detected = {
        "class-name": predicted,
        "type": "groundtruth/image-classification",
        "human-annotated": "no",
        "model-arn": ARN,
    }
    if confidence is not None:
        detected["confidence"] = confidence  # type: ignore[assignment]
    return {
        "source-ref": image,
        "source-ref-metadata": {"creation-date": "2020-05-22T21:33:37.201882"},
        "anomaly-label": int(truth == "normal"),
        "anomaly-label-metadata": {
            "class-name": truth,
            "type": "groundtruth/image-classification",
            "human-annotated": "yes",
        },
        "anomaly-label-detected": int(predicted == "normal"),
        "anomaly-label-detected-metadata": detected,
        **more,
    }


def of_test(image: str, scores: dict[str, float], *present: str) -> dict[str, Any]:
    """A line of a test manifest: each label's score, and those of the ground truth."""
    line: dict[str, Any] = {"source-ref": image}
    for number, (label, score) in enumerate(scores.items()):
        if label in present:
            line[f"rekognition-custom-labels-training-{number}"] = 1
            line[f"rekognition-custom-labels-training-{number}-metadata"] = {
                "confidence": 1.0,
                "class-name": label,
                "human-annotated": "yes",
                "type": "groundtruth/image-classification",
                "job-name": "rekognition-custom-labels-training-job",
            }
        line[f"rekognition-custom-labels-evaluation-{number}"] = 1
        line[f"rekognition-custom-labels-evaluation-{number}-metadata"] = {
            "confidence": score,
            "class-name": label,
            "human-annotated": "no",
            "type": "groundtruth/image-classification",
            "job-name": "rekognition-custom-labels-evaluation-job",
            "rekognition-custom-labels-evaluation-details": {
                "version": 1,
                "is-true-positive": True,
                "is-true-negative": False,
                "is-false-positive": False,
                "is-false-negative": False,
                "is-present-in-ground-truth": label in present,
            },
        }
    return line


def labelled(image: str, **attributes: tuple[str, str, float]) -> dict[str, Any]:
    """A line of an output manifest: by attribute whether a person gave the label, it, its confidence."""
    line: dict[str, Any] = {"source-ref": image}
    for name, (human, label, confidence) in attributes.items():
        line[name] = 0
        line[f"{name}-metadata"] = {"class-name": label, "human-annotated": human, "confidence": confidence}
    return line
