"""µStreamer's `/state`, from which OctoPrint's and Klipper's tools learn whether there is a camera."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import JSONResponse

from lookout.api.context import ServicesDep

router = APIRouter(include_in_schema=False)


@router.get("/state")
async def state(app: ServicesDep) -> JSONResponse:
    """The parts of µStreamer's answer that its clients read."""
    view = app.view()
    camera, viewers = view["camera"], app.viewers.counts().get("stream", 0)
    result = {
        "instance_id": view["instance"],
        "encoder": {"type": "CPU", "quality": 80},
        "source": {
            "resolution": {"width": camera["width"], "height": camera["height"]},
            "online": view["status"] == "ok",
            "desired_fps": round(app.control.loaded.settings.camera.fps),
            "captured_fps": round(camera["frames_per_s"]),
        },
        "stream": {"queued_fps": round(camera["frames_per_s"]), "clients": viewers, "clients_stat": {}},
    }
    return JSONResponse({"ok": True, "result": result}, headers={"Cache-Control": "no-store"})
