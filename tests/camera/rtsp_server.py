"""An RTSP server for tests; runs under the system's Python, where GStreamer's bindings are. Argument: the port."""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

LAUNCH = (
    "( videotestsrc is-live=true pattern={pattern} ! video/x-raw,width=320,height=240,framerate=15/1 "
    "! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=15 ! rtph264pay name=pay0 pt=96 )"
)

Gst.init(None)
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service(sys.argv[1])


def role(name):
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", name)
    return token


auth = GstRtspServer.RTSPAuth()
auth.set_default_token(role("anybody"))
auth.add_basic(GstRtspServer.RTSPAuth.make_basic("cat", "m1aow-m1aow"), role("owner"))
server.set_auth(auth)

for path, pattern in (("red", "red"), ("green", "green"), ("blue", "blue"), ("locked", "ball")):
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(LAUNCH.format(pattern=pattern))
    factory.set_shared(True)
    permissions = GstRtspServer.RTSPPermissions()
    for name in ("owner", "anybody"):
        permissions.add_permission_for_role(name, "media.factory.access", True)
        permissions.add_permission_for_role(name, "media.factory.construct", name == "owner" or path != "locked")
    factory.set_permissions(permissions)
    server.get_mount_points().add_factory(f"/{path}", factory)

RAW = "( videotestsrc is-live=true pattern={pattern} ! video/x-raw,width=320,height=240,framerate=15/1"
H264 = (
    "x264enc tune=zerolatency threads=2 speed-preset=ultrafast key-int-max={keys} "
    "! rtph264pay name=pay0 pt=96 config-interval=-1 )"
)
# Cameras of their own kind: a key frame a minute, each viewer beginning with one or joining in the middle; VP8;
# interlaced; only UDP.
OTHERS = {
    "longgop": RAW.format(pattern="red") + " ! " + H264.format(keys=900),
    "joined": RAW.format(pattern="red") + " ! " + H264.format(keys=75),
    "vp8": RAW.format(pattern="red") + " ! vp8enc deadline=1 keyframe-max-dist=900 ! rtpvp8pay name=pay0 pt=96 )",
    "interlaced": RAW.format(pattern="red") + ",interlace-mode=interleaved ! x264enc interlaced=true tune=zerolatency "
    "speed-preset=ultrafast key-int-max=15 ! rtph264pay name=pay0 pt=96 )",
    "udp": LAUNCH.format(pattern="red"),
}
for path, launch in OTHERS.items():
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(launch)
    factory.set_shared(path == "joined")
    if path == "udp":
        factory.set_protocols(GstRtsp.RTSPLowerTrans.UDP)
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_permission_for_role("anybody", "media.factory.access", True)
    permissions.add_permission_for_role("anybody", "media.factory.construct", True)
    factory.set_permissions(permissions)
    server.get_mount_points().add_factory(f"/{path}", factory)

server.attach(None)
print("ready", flush=True)
GLib.MainLoop().run()
