"""A bounded run of the fuzzer over every decoder; `python -m tests.fuzz` is the long one."""

from __future__ import annotations

import pytest

from tests.fuzz.decoders import DECODERS, Decoder
from tests.fuzz.trying import try_out

CASES = 200


@pytest.mark.parametrize("decoder", DECODERS, ids=lambda decoder: decoder.name)
def test_a_decoder_takes_anything_and_answers_or_refuses_in_words(decoder: Decoder) -> None:
    assert try_out(decoder, CASES) == CASES
