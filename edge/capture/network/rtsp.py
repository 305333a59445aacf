"""Cameras that speak RTSP, through OpenCV's FFMPEG: over TCP, with one decoder thread and explicit time limits."""

import os
import time

import cv2
import numpy as np

from edge.capture.camera import Shot
from edge.capture.network.address import Address, NetworkTimes, Trust
from edge.capture.network.asking import why_not_open
from edge.capture.network.live import StampedLiveness
from edge.capture.network.login import LoginPause
from edge.domain.errors import CameraError

# For all of OpenCV's captures in this process, hence options that mean nothing to files, and looking at 0.3 s of a
# stream before it opens: without, a camera with 5 images a second takes longer than any sensible limit.
_OPTIONS = "rtsp_transport;tcp|allowed_media_types;video|analyzeduration;300000"
_JPEG = cv2.VideoWriter.fourcc(*"MJPG")
_NO_FFMPEG_LOG = "-8"  # its words would repeat with every try; ours come once


class RtspCamera:
    """A free-running camera; anything but a fresh image in time ends the connection, and its drain opens a new one.

    A connection of FFMPEG that failed once stays dead, while `isOpened()` still says yes: it is never used again.

    Args:
        address: where it is, and the login.
        times: its time limits.
    """

    def __init__(self, address: Address, times: NetworkTimes) -> None:
        self._address = address
        self._times = times
        self._login = LoginPause()
        self._capture: cv2.VideoCapture | None = None
        self._trust: Trust | None = None
        self._liveness = StampedLiveness()
        self._waits_for_next = True
        os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", _OPTIONS)
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", _NO_FFMPEG_LOG)
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)

    def open(self) -> None:
        """Connect, for at most the time limit. Raises CameraError, which says what the camera answers."""
        self._login.check()
        capture = cv2.VideoCapture(self._address.with_login, cv2.CAP_FFMPEG, self._parameters())
        if not capture.isOpened():
            capture.release()
            answer = why_not_open(self._address, self._times.read_s)
            why = f"cannot open {self._address}: {answer.why}"
            raise self._login.refused(why) if answer.login_refused else CameraError(why, "camera_lost")
        self._capture = capture
        self._liveness = StampedLiveness()
        self._trust = Trust(self._address, self._times, self._liveness, time.monotonic())
        self._waits_for_next = int(capture.get(cv2.CAP_PROP_FOURCC)) != _JPEG

    def trigger(self, number: int) -> None:
        """Nothing to do: the camera runs freely."""

    def read(self, timeout_s: float) -> Shot | None:  # noqa: ARG002 - FFMPEG waits by the limit it was opened with
        """The next image, or None when it may be an old one; raises CameraError when the stream stopped."""
        if self._capture is None or self._trust is None:
            raise CameraError(f"{self._address} was read before it was opened", "camera_lost")
        asked_s = time.monotonic()
        try:
            came, image = self._capture.read()
        except cv2.error as error:
            raise CameraError(f"{self._address}: an image that OpenCV cannot take: {error}", "camera_lost") from None
        arrived_s = time.monotonic()
        if not came:
            self._trust.check_wait(asked_s, arrived_s)
            raise CameraError(f"{self._address}: the stream ended", "camera_lost")
        stamp_s = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        shot = self._trust.shot(np.asarray(image, np.uint8), asked_s, arrived_s, stamp_s)
        if shot is not None:
            self._check_latency()
        return shot

    def close(self) -> None:
        """Hang up."""
        if self._capture is not None:
            self._capture.release()
        self._capture = self._trust = None

    def _check_latency(self) -> None:
        """FFMPEG knows an image of H.264 or H.265 to be whole when the next one begins: it is a period old by then."""
        period_s, latency_s = self._liveness.period_s, self._times.latency_s
        if self._waits_for_next and period_s > latency_s:
            raise CameraError(
                f"{self._address}: latency_ms {latency_s * 1000:.0f} is too small: an image comes with the next one, "
                f"{period_s * 1000:.0f} ms later: film a clock and set latency_ms to what it shows, or a part could be "
                "judged by what stood there before it",
                "camera_lost",
            )

    def _parameters(self) -> list[int]:
        limits = {
            cv2.CAP_PROP_OPEN_TIMEOUT_MSEC: int(self._times.open_s * 1000),
            cv2.CAP_PROP_READ_TIMEOUT_MSEC: int(self._times.read_s * 1000),
            cv2.CAP_PROP_N_THREADS: 1,
        }
        return [number for limit in limits.items() for number in limit]
