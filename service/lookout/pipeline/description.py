"""A prediction as JSON, the same for the API and the command line."""

from __future__ import annotations

from typing import Any

from lookout.pipeline.card import Card
from lookout.pipeline.classifier import Prediction


def describe(
    card: Card,
    precision: str,
    prediction: Prediction,
    *,
    size: tuple[int, int],
    decode_ms: float,
    top: int | None = None,
) -> dict[str, Any]:
    """Return the JSON object for a classified picture.

    size: width and height of the original, in pixels. decode_ms: the time that decoding took. top: the maximum number
    of labels in the list `top`, best first; None: all.
    """
    pairs = list(zip(card.labels, prediction.probabilities, strict=True))
    timing, seen = prediction.timing, prediction.seen
    return {
        "top": [
            {"label": label.name, "title": label.title, "probability": round(p, 4)}
            for label, p in sorted(pairs, key=lambda pair: -pair[1])[:top]
        ],
        "probabilities": {label.name: round(p, 4) for label, p in pairs},
        "width": size[0],
        "height": size[1],
        "seen": {"x": seen.x, "y": seen.y, "width": seen.width, "height": seen.height},
        "timing_ms": {
            "decode": round(decode_ms, 2),
            "preprocess": round(timing.preprocess_ms, 2),
            "inference": round(timing.inference_ms, 2),
            "postprocess": round(timing.postprocess_ms, 2),
        },
        "model": {"name": card.name, "version": card.version, "precision": precision},
    }
