"""The thresholds in force: those of the model's card, unless a setting overrides them."""

from __future__ import annotations

from collections.abc import Mapping

from lookout.pipeline.card import Card
from lookout.pipeline.smoothing import Smoother, Threshold
from lookout.settings.schema import AnswerSettings, Settings

# The key in answer.enter and answer.leave that stands for every label without a key of its own.
EVERY_LABEL = "*"
# How many labels the warning names, to stay readable.
_MAX_NAMED = 5


def thresholds_of(card: Card, settings: AnswerSettings) -> Mapping[str, Threshold]:
    """Return the thresholds of every label that can become an answer: the card's, unless a setting overrides them."""
    limits = {}
    for label in card.labels:
        if label.reject:
            continue
        own = card.thresholds_of(label.name)
        enter = settings.enter.get(label.name, settings.enter.get(EVERY_LABEL, own.enter))
        leave = settings.leave.get(label.name, settings.leave.get(EVERY_LABEL, min(own.leave, enter)))
        limits[label.name] = Threshold(enter, min(leave, enter))
    return limits


def unknown_labels(card: Card, settings: AnswerSettings) -> str:
    """Return a warning about thresholds for labels that the model lacks, or an empty string if there are none."""
    strange = sorted((set(settings.enter) | set(settings.leave)) - {EVERY_LABEL, *card.label_names})
    if not strange:
        return ""
    named = ", ".join(f'"{label}"' for label in strange[:_MAX_NAMED])
    more = f" and {len(strange) - _MAX_NAMED} more" if len(strange) > _MAX_NAMED else ""
    return f'answer.enter and answer.leave: the model "{card.name}" has no label {named}{more}.'


def new_smoother(card: Card, settings: Settings, now: float) -> Smoother:
    """Return a smoother without history. now: monotonic seconds."""
    answer = settings.answer
    return Smoother(
        card.label_names,
        [label.name for label in card.labels if label.reject],
        thresholds_of(card, answer),
        window_s=answer.window_s,
        hold_s=answer.hold_s,
        gap_s=settings.camera.stale_after_s,
        now=now,
    )
