"""Running one decoder over that many inputs, the same ones each time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings

from tests.fuzz.decoders import Decoder

# Hanging is a failure; a busy machine is not.
DEADLINE_MS = 20_000


def try_out(decoder: Decoder, cases: int, number: int = 1) -> int:
    """Check that many inputs, from the seed `number`; how many there were. Raises what the decoder raised."""
    done = 0

    def check(data: Any) -> None:
        nonlocal done
        done += 1
        decoder.check(data)

    wrapped: Callable[[Callable[[Any], None]], Callable[[], None]] = given(decoder.inputs())
    chosen = settings(
        max_examples=cases,
        deadline=DEADLINE_MS,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
    )
    seed(number)(chosen(wrapped(check)))()
    return max(done, cases) if done else 0
