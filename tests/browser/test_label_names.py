"""A model may call its labels what it likes: names that JavaScript's objects have of their own, formulas, markup."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from lookout.state.brief import LISTED_LABELS, MANY_LABELS
from onnx import TensorProto, helper
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage, wait_for_situation
from tests.browser.running import RunningService
from tests.models import SIDE, model_of, write_model

# By the colour that each stands for.
ODD = {"red": "constructor", "green": "__proto__", "blue": "toString"}
# So many that states leave out most of them; the odd ones come last, so that they are left out unless they are seen.
PLAIN = [f"label {number}" for number in range(MANY_LABELS)]
LABELS = [*PLAIN, "valueOf", "hasOwnProperty", "=1+1", "<b>bold</b>", "{n}", *ODD.values(), "nothing"]
SURE = re.compile("(99|100) %")


def odd_graph() -> Any:
    """An answer for each primary colour, and next to nothing for all other labels."""
    weights = np.full((3, len(LABELS)), -0.02, np.float32)
    for channel, label in enumerate(ODD.values()):
        weights[:, LABELS.index(label)] = np.roll([0.1, -0.05, -0.05], channel)
    nodes = [
        helper.make_node("Cast", ["pixels"], ["values"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["values"], ["embedding"], axes=[1, 2], keepdims=0),
        helper.make_node("MatMul", ["embedding", "weights"], ["logits"]),
    ]
    return model_of(
        nodes,
        helper.make_tensor_value_info("pixels", TensorProto.UINT8, [1, SIDE, SIDE, 3]),
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, len(LABELS)])],
        {"weights": weights},
    )


@pytest.fixture
def odd_service(tmp_path: Path) -> Iterator[RunningService]:
    labels = [{"name": name, "title": name, **({"reject": True} if name == "nothing" else {})} for name in LABELS]
    write_model(tmp_path / "models", "odd", {"fp32": odd_graph()}, labels=labels, outputs={"logits": "logits"})
    flags = ("--model.folder", str(tmp_path / "models"), "--model.name", "odd")
    service = RunningService(tmp_path / "service", *flags, "--answer.hold_s", "0", "--events.merge_s", "0")
    service.order("red")
    service.start()
    yield service
    service.stop()


def test_labels_called_like_parts_of_javascript_are_labels(odd_service: RunningService, open_page: OpenPage) -> None:
    assert len(LABELS) > MANY_LABELS + LISTED_LABELS // 3
    page = open_page(odd_service.url)
    wait_for_situation(page, "live")
    for colour, label in ODD.items():
        odd_service.order(colour)
        expect(page.locator("#word")).to_have_text(label)
        row = page.locator("#bars .bar-row").filter(has_text=label)
        expect(row.locator(".bar-value")).to_have_text(SURE)
        strip = page.locator(".strip-row").filter(has_text=label).locator("canvas")
        expect(strip).to_have_attribute(
            "aria-label", re.compile(f"^{label}, .*now {SURE.pattern}, highest {SURE.pattern}")
        )
    page.get_by_role("tab", name="Diary").click()
    for label in ODD.values():
        expect(page.locator(".visit").filter(has_text=label).first).to_be_visible()
    table = httpx.get(f"{odd_service.url}api/events.csv", trust_env=False).text
    assert {row["called"] for row in csv.DictReader(io.StringIO(table))} == set(ODD.values())
