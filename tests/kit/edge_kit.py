"""What the station's tests share: a line's end of the line port, and the station's nouns ready made."""

import json
import socket
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from edge.domain.frame import Frame, Image
from edge.domain.inspection import Committed, FrameInfo, Inspection, View
from edge.domain.part import Part, Verdict
from models.detections import Detections
from models.spec import ModelId, Precision

WITHIN_S = 30.0
NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
MODEL = ModelId("blob", 1, "0" * 64, Precision.FP32)


class LineClient:
    """A line's connection: sends messages, reads one at a time, each wait bounded."""

    def __init__(self, where: int | Path) -> None:
        if isinstance(where, int):
            self.sock = socket.create_connection(("127.0.0.1", where), WITHIN_S)
        else:
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.connect(str(where))
            self.sock.settimeout(WITHIN_S)
        self.file = self.sock.makefile("rb")
        self.heard: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.file.close()
        self.sock.close()

    def send(self, *messages: dict[str, object]) -> None:
        self.sock.sendall(b"".join(json.dumps(message).encode() + b"\n" for message in messages))

    def trigger(self, part_id: str, product: str = "blob", **more: object) -> None:
        self.send({"type": "trigger", "part_id": part_id, "product": product, **more})

    def ack(self, part_id: str) -> None:
        self.send({"type": "ack", "part_id": part_id})

    def hear(self, kind: str = "verdict") -> dict[str, Any]:
        """The next message of a kind; others are kept for later."""
        until_s = time.monotonic() + WITHIN_S
        for message in self.heard:
            if message["type"] == kind:
                self.heard.remove(message)
                return message
        while time.monotonic() < until_s:
            line = self.file.readline()
            assert line, f"the station hung up, expected {kind}"
            message = json.loads(line)
            if message["type"] == kind:
                return message
            self.heard.append(message)
        raise AssertionError(f"no {kind} within {WITHIN_S} s, but {self.heard}")

    def hear_ready(self, *, ready: bool) -> dict[str, Any]:
        """The next `ready` of this content."""
        while True:
            message = self.hear("ready")
            if message["ready"] is ready:
                return message

    def hear_end(self) -> bytes:
        """Everything until the station hangs up."""
        return self.file.read()


def part(part_id: str = "p-1", product: str = "blob", cameras: tuple[str, ...] = ()) -> Part:
    return Part(part_id, product, NOW, time.monotonic(), cameras)


def image(level: int = 128, size: tuple[int, int] = (80, 60)) -> Image:
    return np.full((size[1], size[0], 3), level, np.uint8)


def frame(seq: int = 1, level: int = 128, camera: str = "top", size: tuple[int, int] = (80, 60)) -> Frame:
    return Frame(camera, seq, NOW, time.monotonic(), image(level, size), f"{seq}.png")


def detections(*boxes: tuple[float, float, float, float, float], class_id: int = 0) -> Detections:
    """From (left, top, right, bottom, score)."""
    rows = np.array(boxes, np.float32).reshape(-1, 5)
    return Detections(rows[:, :4].copy(), rows[:, 4].copy(), np.full(len(rows), class_id, np.int32))


def view(verdict: Verdict = Verdict.PASS, camera: str = "top", *, seq: int = 1) -> View:
    found = detections((1, 1, 9, 9, 0.9)) if verdict is Verdict.REJECT else detections()
    reasons = {Verdict.PASS: (), Verdict.REJECT: ("anomaly:1",), Verdict.UNDECIDED: ("no_frame",)}[verdict]
    return View(camera, verdict, reasons, FrameInfo(seq, NOW, ""), found, ("anomaly",), MODEL)


def inspection(verdict: Verdict = Verdict.PASS, of: Part | None = None) -> Inspection:
    return Inspection(of or part(), (view(verdict),), (), "1", {"decided": 1.0})


def committed(verdict: Verdict, of: Part, seq: int = 1) -> Committed:
    return Committed(inspection(verdict, of), seq, f"test-1/{'e' * 32}/{seq}", "a" * 64)


class Collected:
    """Items that another thread hands over, awaited with a time limit."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self._came = threading.Condition()

    def __call__(self, *items: object) -> None:
        with self._came:
            self.items.append(items[0] if len(items) == 1 else items)
            self._came.notify_all()

    def wait_for(self, count: int, within_s: float = WITHIN_S) -> list[Any]:
        """At least `count` items."""
        with self._came:
            assert self._came.wait_for(lambda: len(self.items) >= count, within_s), f"{len(self.items)} of {count}"
            return list(self.items)
