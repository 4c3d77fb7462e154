"""Runs in Home Assistant's own Python: the real core with its real MQTT integration, driven over standard input.

One JSON object a line comes in, one goes out: {"do": "states"} gives every entity's state, {"do": "call", ...} calls a
service, {"do": "errors"} gives what was logged as an error, {"do": "stop"} ends it. Argument: the broker's port.
"""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import sys
from pathlib import Path
from typing import Any

from homeassistant import bootstrap, const, runner  # type: ignore[import-not-found]

CONFIG = Path("/cfg")
_LINES = "homeassistant:\n  name: test\n  time_zone: UTC\nlogger:\n  default: warning\n"


class Errors(logging.Handler):
    """Errors and exceptions of anybody, and warnings of MQTT, since the device may announce itself."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.ERROR or record.exc_info or "mqtt" in record.name:
            self.lines.append(f"{record.name}: {record.getMessage()} {record.exc_info or ''}"[:500])


async def main(port: int) -> None:
    shutil.rmtree(CONFIG, ignore_errors=True)
    CONFIG.mkdir()
    (CONFIG / "configuration.yaml").write_text(_LINES)
    errors = Errors()
    hass = await bootstrap.async_setup_hass(
        # Integrations that nobody asked for would have their packages compiled.
        runner.RuntimeConfig(config_dir=str(CONFIG), skip_pip=True, log_no_color=True, verbose=False)
    )
    await hass.async_start()
    flow = await hass.config_entries.flow.async_init("mqtt", context={"source": "user"})
    broker = {"broker": "127.0.0.1", "port": port, "other_settings": {"set_client_cert": False, "set_ca_cert": "off"}}
    await hass.config_entries.flow.async_configure(flow["flow_id"], broker)
    await hass.async_block_till_done()
    logging.getLogger().addHandler(errors)
    _say({"version": const.__version__})
    while (line := await asyncio.to_thread(sys.stdin.readline)) and (wanted := json.loads(line))["do"] != "stop":
        _say(await _answer(hass, wanted, errors))
    await hass.async_stop(force=True)


async def _answer(hass: Any, wanted: dict[str, Any], errors: Errors) -> Any:
    if wanted["do"] == "states":
        return {one.entity_id: {"state": one.state, **_plain(one.attributes)} for one in hass.states.async_all()}
    if wanted["do"] == "call":
        await hass.services.async_call(wanted["domain"], wanted["service"], wanted["data"], blocking=True)
        return True
    return errors.lines


def _plain(attributes: Any) -> dict[str, Any]:
    wanted = ("options", "event_type", "id", "label", "friendly_name")
    return {key: value for key, value in attributes.items() if key in wanted}


def _say(value: Any) -> None:
    print(f"@{json.dumps(value)}", flush=True)


asyncio.run(asyncio.wait_for(main(int(sys.argv[1])), 300))
