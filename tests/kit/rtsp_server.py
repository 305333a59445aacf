"""A real RTSP server for tests (GStreamer's), run by Debian's python3: serves pictures that say when they were taken.

python3 rtsp_server.py PORT [--fps 25] [--user NAME:PASSWORD] [--digest] [--encoder h264|jpeg] [--resize-after N]
It prints "ready" once it listens; after N pictures they are of twice the size.
"""

import argparse
import sys
import time

import gi
from served_pictures import HEIGHT, WIDTH, clock_ms, pixels

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

H264 = "x264enc tune=zerolatency speed-preset=ultrafast threads=1 key-int-max=25 bitrate=3000"
ENCODERS = {
    "h264": f"{H264} ! rtph264pay name=pay0 pt=96 config-interval=1",
    "jpeg": "jpegenc quality=90 ! rtpjpegpay name=pay0 pt=26",
}


def caps(fps: int, larger: int = 1) -> str:
    return f"video/x-raw,format=BGR,width={WIDTH * larger},height={HEIGHT * larger},framerate={fps}/1"


def launch_line(encoder: str, fps: int) -> str:
    source = f'appsrc name=source is-live=true format=time do-timestamp=true caps="{caps(fps)}"'
    return f"( {source} ! videoconvert ! video/x-raw,format=I420 ! {ENCODERS[encoder]} )"


class Feed:
    """Gives a fresh picture each period, when one is asked for; what was missed meanwhile is not made up for."""

    def __init__(self, fps: int, resize_after: int) -> None:
        self._fps = fps
        self._resize_after = resize_after
        self._given = 0
        self._due_s = time.monotonic()

    def __call__(self, source: Gst.Element, _wanted_bytes: int) -> None:
        time.sleep(max(0.0, self._due_s - time.monotonic()))
        self._due_s = max(self._due_s, time.monotonic() - 1 / self._fps) + 1 / self._fps
        larger = 2 if 0 <= self._resize_after <= self._given else 1
        if self._given == self._resize_after:
            source.set_property("caps", Gst.Caps.from_string(caps(self._fps, larger)))
        content = pixels(clock_ms(), WIDTH * larger, HEIGHT * larger)
        source.emit("push-buffer", Gst.Buffer.new_wrapped(content))
        self._given += 1


def configure(
    _factory: GstRtspServer.RTSPMediaFactory, media: GstRtspServer.RTSPMedia, fps: int, resize_after: int
) -> None:
    media.get_element().get_child_by_name("source").connect("need-data", Feed(fps, resize_after))


def protect(
    server: GstRtspServer.RTSPServer, factory: GstRtspServer.RTSPMediaFactory, login: str, *, digest: bool
) -> None:
    user, _, password = login.partition(":")
    auth, token = GstRtspServer.RTSPAuth(), GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    if digest:
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(user, password, token)
    else:
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    server.set_auth(auth)
    role = Gst.Structure.new_empty("viewer")
    role.set_value("media.factory.access", True)
    role.set_value("media.factory.construct", True)
    factory.add_role_from_structure(role)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port")
    parser.add_argument("--fps", type=int, default=25)
    parser.add_argument("--user", default="")
    parser.add_argument("--digest", action="store_true")
    parser.add_argument("--encoder", choices=sorted(ENCODERS), default="h264")
    parser.add_argument("--resize-after", type=int, default=-1)
    options = parser.parse_args()
    Gst.init(None)
    server, factory = GstRtspServer.RTSPServer(), GstRtspServer.RTSPMediaFactory()
    server.set_address("127.0.0.1")
    server.set_service(options.port)
    factory.set_launch(launch_line(options.encoder, options.fps))
    factory.set_shared(True)
    factory.connect("media-configure", configure, options.fps, options.resize_after)
    if options.user:
        protect(server, factory, options.user, digest=options.digest)
    server.get_mount_points().add_factory("/view", factory)
    server.attach(None)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
