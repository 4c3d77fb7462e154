"""How pixels become a network's input: (pixel · scale − mean) / std, in the ways people write it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from lookout.errors import ModelRejected
from lookout.registry.graph_facts import GraphInput

# ImageNet's, for pixels from 0 to 255: most published networks were trained with it.
IMAGENET_MEAN, IMAGENET_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
_TOLERANCE = 0.02
_KINDS = {
    "imagenet": "ImageNet's mean and std",
    "zero-to-one": "0 to 1",
    "minus-one-to-one": "-1 to 1",
    "raw": "not at all, 0 to 255",
}


@dataclass(frozen=True, slots=True)
class Normalisation:
    """scale, mean and std as in the card, the last two in the order R, G, B.

    usual: the kind used unless another is chosen; None if one was given. understood: how it was interpreted.
    blue_first: whether the mean looks like ImageNet's for the order B, G, R, in which it is given for such networks.
    """

    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    usual: str | None = None
    understood: str = ""
    none: bool = False
    blue_first: bool = False

    @property
    def choices(self) -> tuple[str, ...]:
        """The available kinds, the usual one first."""
        return tuple(sorted(_KINDS, key=lambda kind: kind != self.usual))

    @property
    def words(self) -> str:
        return _KINDS.get(self.usual or "", "")

    def understood_for(self, color: str) -> str:
        """Return how it was interpreted for a network that takes its channels in this order."""
        turned = "the mean was given blue first, as ImageNet's" if color == "bgr" and self.blue_first else ""
        return "; ".join(filter(None, (self.understood, turned)))

    def choose(self, kind: str) -> Normalisation:
        return replace(_kind(kind, len(self.mean)), usual=None)

    def for_card(self, color: str) -> dict[str, Any]:
        """Return this part of a card's input, where the first value belongs to the first channel."""
        if self.none:
            return {}
        turned = color == "bgr" and not self.blue_first
        mean, std = (list(values[::-1] if turned else values) for values in (self.mean, self.std))
        return {"scale": self.scale, "mean": mean, "std": std}


def normalisation_of(
    scale: float | None, mean: Sequence[float] | None, std: Sequence[float] | None, taken: GraphInput
) -> Normalisation:
    """Return what the options say, or the usual one for such a graph. Raises ModelRejected if options contradict."""
    if taken.dtype == "uint8":
        if scale is not None or mean is not None or std is not None:
            raise ModelRejected(
                "The network takes bytes and normalises them itself.", "Leave --scale, --mean and --std out."
            )
        return Normalisation(none=True)
    for option, values in (("--mean", mean), ("--std", std)):
        if values is not None and len(values) not in (1, taken.channels):
            raise ModelRejected(
                f"{option} has {len(values)} values for {taken.channels} channels.", "Give one for each."
            )
    if std is not None and min(std) <= 0:
        raise ModelRejected("--std: pixels cannot be divided by zero or less.", "Give numbers above 0.")
    if scale is None and mean is None and std is None:
        usual = taken.own_scaling or ("zero-to-one" if taken.channels == 1 else "imagenet")
        return replace(_kind(usual, taken.channels), usual=usual)
    return _given(scale, tuple(mean or (0.0,)), tuple(std or (1.0,)))


def _given(scale: float | None, mean: tuple[float, ...], std: tuple[float, ...]) -> Normalisation:
    understood = []
    if scale is None:
        fractions = _are_fractions(mean, std)
        scale = 1 / 255 if fractions else 1.0
        if fractions:
            understood.append("mean and std are for pixels from 0 to 1 (a scale of 1/255)")
        elif max(mean) == 0 and max(std) == 1:
            understood.append("pixels stay from 0 to 255")
    if scale <= 0:
        raise ModelRejected("--scale: pixels cannot be multiplied by zero or less.", "Give a number above 0.")
    if scale > 1:
        raise ModelRejected(
            f"--scale {scale:g} makes pixels larger than 255; it is what they are multiplied by, not divided.",
            f"For pixels divided by {scale:g}, give --scale {1 / scale:.4g}.",
        )
    top = 255 * scale
    if min(mean) < 0 or max(mean) > top * (1 + _TOLERANCE):
        raise ModelRejected(
            f"--mean {_list(mean)} is outside the range of pixels after --scale {scale:.4g}: 0 to {top:.4g}.",
            f"For pixels from 0 to {top:.4g} it would be {_list([value * scale for value in mean])}."
            if min(mean) >= 0 and max(mean) <= 255
            else "Give both for the same range.",
        )
    blue_first = len(mean) == 3 and _is_imagenet_turned(mean, top)
    return Normalisation(scale, mean, std, understood="; ".join(understood), blue_first=blue_first)


def _are_fractions(mean: tuple[float, ...], std: tuple[float, ...]) -> bool:
    """Return whether both are for pixels from 0 to 1. Raises ModelRejected if only one of them is."""
    small_mean, small_std = max(mean) <= 1.0, max(std) < 1.0
    if small_std and not small_mean:
        raise ModelRejected(
            f"--std {_list(std)} is for pixels from 0 to 1, --mean {_list(mean)} for pixels from 0 to 255.",
            "Give both for the same range.",
        )
    if max(std) > 2.0 and 0 < max(mean) <= 1.0:
        raise ModelRejected(
            f"--mean {_list(mean)} is for pixels from 0 to 1, --std {_list(std)} for pixels from 0 to 255.",
            "Give both for the same range.",
        )
    return small_mean and (small_std or max(mean) > 0)


def _is_imagenet_turned(mean: tuple[float, ...], top: float) -> bool:
    turned = [value * top / 255 for value in IMAGENET_MEAN[::-1]]
    return all(abs(a - b) <= _TOLERANCE * top for a, b in zip(mean, turned, strict=True)) and mean[0] < mean[2]


def _kind(kind: str, channels: int) -> Normalisation:
    if kind == "imagenet":
        mean, std = IMAGENET_MEAN, IMAGENET_STD
        if channels == 1:
            mean, std = (sum(mean) / 3,), (sum(std) / 3,)  # type: ignore[assignment]
        return Normalisation(1.0, mean, std)
    same = (0.0,) * channels, (1.0,) * channels
    if kind == "minus-one-to-one":
        return Normalisation(1 / 127.5, (1.0,) * channels, (1.0,) * channels)
    return Normalisation(1 / 255 if kind == "zero-to-one" else 1.0, *same)


def _list(values: Sequence[float]) -> str:
    return ",".join(f"{value:.4g}" for value in values)
