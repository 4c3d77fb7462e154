"""One network: its session, and its predictions for pictures."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from lookout.errors import ModelRejected, UnknownModel
from lookout.frame import Pixels
from lookout.geometry import WHOLE, Rect
from lookout.pipeline.card import Card
from lookout.pipeline.preprocess import new_tensor, preprocess
from lookout.pipeline.run_limit import run_limited
from lookout.pipeline.session import GraphCache, one_line, open_session

Floats = NDArray[np.float32]

# How far from 1 the sum of the graph's probabilities may be: a tolerance for float16, plus the rounding error of each
# quantised value, up to a maximum.
_SUM_TOLERANCE, _ROUNDING, _MAX_SUM_TOLERANCE = 1e-2, 1 / 512, 0.7
_FLOATS = {"tensor(float)", "tensor(float16)", "tensor(double)"}
# The number of axes of the additional outputs, including the batch axis.
_AXES = {"embedding": 2, "feature_map": 4, "activation_map": 4}
_ONNX_TYPE = {"uint8": "tensor(uint8)", "float32": "tensor(float)"}


@dataclass(frozen=True, slots=True)
class Timing:
    """Milliseconds spent on one picture, stage by stage."""

    preprocess_ms: float
    inference_ms: float
    postprocess_ms: float


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """The network's result for one picture.

    probabilities: one per label, in the card's order, calibrated, summing to 1.
    seen: the part of the picture that the network saw.
    embedding: float32, one dimension, only if requested and the graph offers it.
    activation_map: float32, labels x height x width (3 x 3 cells at 96 pixels), likewise.
    feature_map: float32, channels x height x width, likewise.
    """

    probabilities: tuple[float, ...]
    seen: Rect
    timing: Timing
    embedding: Floats | None = None
    activation_map: Floats | None = None
    feature_map: Floats | None = None


@dataclass(frozen=True, slots=True)
class GraphTensor:
    """An input or output as the graph declares it. type: onnxruntime's name of it. shape: -1 for an open dimension."""

    name: str
    type: str
    shape: tuple[int, ...]


class Classifier:
    """A loaded network. Thread-safe.

    session: runs the graph. Measurements may replace it by one that records the time.
    """

    def __init__(self, card: Card, precision: str, threads: int, session: ort.InferenceSession) -> None:
        self.card = card
        self.precision = precision
        self.threads = threads
        self.session = session
        self._temperature = card.temperature(precision)
        self._groups, self._numbers, self._answer = card.groups, card.numbers, card.outputs.answer
        self._blank = new_tensor(card.input)

    @property
    def output_names(self) -> set[str]:
        """The graph's own names of its outputs."""
        return {output.name for output in self.session.get_outputs()}

    @property
    def graph_outputs(self) -> tuple[GraphTensor, ...]:
        """The graph's outputs, in its order."""
        return tuple(
            GraphTensor(one.name, one.type, tuple(side if isinstance(side, int) else -1 for side in one.shape))
            for one in self.session.get_outputs()
        )

    def infer(self, tensor: NDArray[Any], outputs: list[str]) -> list[NDArray[Any]]:
        """Return the graph's raw outputs for a tensor of the card's shape and type.

        Raises ModelRejected if the graph fails or takes longer than RUN_LIMIT_S.
        """
        return [np.asarray(value) for value in self._run(outputs, tensor)]

    @classmethod
    def load(cls, card: Card, precision: str, threads: int = 1, cache: GraphCache | None = None) -> Classifier:
        """Load the file that the card names, check that it matches the card, and try it on a grey picture.

        Raises UnknownModel for a precision the card lacks, otherwise ModelRejected with the first difference.
        """
        if precision not in card.files:
            raise UnknownModel(
                f'The model "{card.name}" has no precision "{precision}".',
                f"It has {', '.join(card.precisions)}.",
            )
        classifier = cls(card, precision, threads, open_session(card, precision, threads, cache))
        classifier._check_fits()
        classifier._check_runs()
        return classifier

    def classify(
        self,
        pixels: Pixels,
        region: Rect = WHOLE,
        *,
        embedding: bool = False,
        activation_map: bool = False,
        feature_map: bool = False,
    ) -> Prediction:
        """Classify one upright blue-green-red picture (uint8, height x width x 3).

        Raises ModelRejected if the network fails on it, takes longer than RUN_LIMIT_S, or its output is not finite.
        """
        started = time.perf_counter()
        tensor = np.empty_like(self._blank)  # one per call, since threads share this object
        seen = preprocess(pixels, self.card.input, tensor, region)
        prepared = time.perf_counter()
        asked = embedding or activation_map or feature_map  # not by the camera loop
        more = self._more_outputs(embedding, activation_map, feature_map) if asked else None
        answer, *others = self._run([self._answer, *more.values()] if more else [self._answer], tensor)
        inferred = time.perf_counter()
        probabilities = self._probabilities(answer)
        extra = {key: self._extra_output(key, value) for key, value in zip(more, others, strict=True)} if more else {}
        timing = Timing(
            preprocess_ms=(prepared - started) * 1e3,
            inference_ms=(inferred - prepared) * 1e3,
            postprocess_ms=(time.perf_counter() - inferred) * 1e3,
        )
        return Prediction(probabilities, seen, timing, **extra)

    def _run(self, outputs: list[str], tensor: NDArray[Any]) -> list[Any]:
        try:
            return run_limited(self.session, outputs, {self.card.input.name: tensor})
        except Exception as error:  # onnxruntime's errors have no common base class
            raise ModelRejected(
                f'The model "{self.card.name}" fails on a picture: {one_line(error)}.',
                "Choose another model, or one that is small enough for this machine.",
            ) from error

    def _more_outputs(self, embedding: bool, activation_map: bool, feature_map: bool) -> dict[str, str]:
        """The outputs to compute beside the answer: the graph's name by ours, without any that the graph lacks."""
        names, wanted = self.card.outputs, dict[str, str]()
        if embedding and names.embedding:
            wanted["embedding"] = names.embedding
        if activation_map and names.activation_map:
            wanted["activation_map"] = names.activation_map
        if feature_map and names.feature_map:
            wanted["feature_map"] = names.feature_map
        return wanted

    def _probabilities(self, answer: Floats) -> tuple[float, ...]:
        values, numbers = np.asarray(answer).ravel().tolist(), self._numbers
        count = len(values)
        if count != numbers and not (count == 1 and numbers == 2):  # in some graphs it depends on the picture
            raise self._misfit(f"it gives {count} values, the card lists {numbers} labels")
        if not all(map(math.isfinite, values)):  # one such value would corrupt the smoothed answer for good
            raise self._misfit("its output is not finite (NaN or infinity)")
        probabilities: tuple[float, ...]
        if count == 1:
            probabilities = pair(values[0], self._temperature if self.card.outputs.logits else None)
        elif self.card.outputs.logits:
            probabilities = softmax(values, self._temperature)
        else:
            probabilities = self._normalised(values)
        if self._groups is None:
            return probabilities
        return tuple([sum([probabilities[place] for place in group]) for group in self._groups])

    def _normalised(self, values: list[float]) -> tuple[float, ...]:
        """Probabilities as computed by the graph, corrected for the rounding of their sum."""
        total = sum(values)
        if min(values) < -_SUM_TOLERANCE or abs(total - 1.0) > sum_tolerance(len(values)):
            raise self._misfit("its output contains no probabilities that add up to 1")
        return tuple([max(0.0, value) / total for value in values])

    def _extra_output(self, role: str, value: Any) -> Floats:
        """Return an additional output without its batch axis. Raises ModelRejected if it does not fit its role."""
        array = np.asarray(value)
        labels = self.card.numbers
        fits = array.ndim == _AXES[role] and array.shape[0] == 1 and array.dtype.kind == "f"
        if not fits or (role == "activation_map" and array.shape[1] != labels):
            wanted = {"embedding": "1 x N", "feature_map": "1 x C x H x W"}.get(role, f"1 x {labels} x H x W")
            raise self._misfit(f"its {role} is {_shape(array.shape)}, not {wanted} of float")
        values = np.asarray(array[0], np.float32)
        if role == "activation_map" and self._groups is not None:
            return np.stack([values[list(group)].mean(axis=0) for group in self._groups])
        return values

    def _check_fits(self) -> None:
        """Check that the graph's inputs and outputs are those of the card."""
        inputs = self.session.get_inputs()
        spec = self.card.input
        if len(inputs) != 1:
            raise self._misfit(f"the graph has {len(inputs)} inputs, a classifier has one")
        graph_input = inputs[0]
        if graph_input.name != spec.name:
            raise self._misfit(f'its input is called "{graph_input.name}", the card says "{spec.name}"')
        if graph_input.type != _ONNX_TYPE[spec.dtype]:
            raise self._misfit(f"its input is {graph_input.type}, the card says {spec.dtype}")
        if not _same_shape(graph_input.shape, spec.shape):
            raise self._misfit(f"its input is {_shape(graph_input.shape)}, the card says {_shape(spec.shape)}")
        shapes = {output.name: output.shape for output in self.session.get_outputs()}
        for role, name in self.card.outputs.model_dump(exclude_none=True).items():
            if name not in shapes:
                raise self._misfit(f'it has no output "{name}", which the card calls its {role}')
        kinds = {output.name: output.type for output in self.session.get_outputs()}
        if kinds[self.card.outputs.answer] not in _FLOATS:
            raise self._misfit(f"its answer is {kinds[self.card.outputs.answer]}, not numbers with a fraction")
        found = shapes[self.card.outputs.answer]
        if not _fits_labels(found, self.card.numbers):
            raise self._misfit(f"it gives {_shape(found)} values, the card lists {self.card.numbers} labels")

    def _check_runs(self) -> None:
        """Run the graph once, because a graph may load and still fail to run."""
        grey = np.full((self.card.input.height, self.card.input.width, 3), 128, np.uint8)
        self.classify(grey, embedding=True, activation_map=True, feature_map=True)

    def _misfit(self, difference: str) -> ModelRejected:
        return ModelRejected(
            f'The {self.precision} graph of "{self.card.name}" does not match its card: {difference}.',
            "Make a new card with `lookout models add`, or restore the file.",
        )


def softmax(logits: Sequence[float], temperature: float = 1.0) -> tuple[float, ...]:
    """exp(l / T) / sum exp(l / T), shifted by the largest to avoid overflow. Plain Python, as there are few labels."""
    largest = max(logits)
    powers = [math.exp((logit - largest) / temperature) for logit in logits]
    total = sum(powers)
    return tuple([power / total for power in powers])


def pair(value: float, temperature: float | None) -> tuple[float, float]:
    """The probabilities of two labels from a network's single output, which stands for the second label.

    value: a logit; or, if temperature is None, a probability.
    """
    if temperature is None:
        p = min(1.0, max(0.0, value))
    else:
        p = 1.0 / (1.0 + math.exp(-value / temperature)) if value > 0 else softmax((0.0, value), temperature)[1]
    return 1.0 - p, p


def sum_tolerance(rounded: int) -> float:
    """How far from 1 the sum of probabilities may be if `rounded` of them were rounded to 8 bits."""
    return min(_SUM_TOLERANCE + rounded * _ROUNDING, _MAX_SUM_TOLERANCE)


def _fits_labels(found: Sequence[Any], numbers: int) -> bool:
    """Whether a shape holds this many numbers, or one number for two labels. Open dimensions match any number."""
    sides = [side for side in found if isinstance(side, int) and side != 1]
    open_ones = [side for side in found if not isinstance(side, int)]
    return sides == [numbers] or (not sides and (bool(open_ones) or numbers == 2))


def _same_shape(found: Sequence[Any], wanted: Sequence[int]) -> bool:
    """Whether the shapes are equal. Named dimensions (a batch of any size) match any number."""
    return len(found) == len(wanted) and all(
        not isinstance(a, int) or a == b for a, b in zip(found, wanted, strict=True)
    )


def _shape(dimensions: Sequence[Any]) -> str:
    return " x ".join(str(d) for d in dimensions)
