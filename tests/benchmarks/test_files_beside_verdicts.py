"""How long a verdict takes on a line of 1 Mbit/s: alone, beside an image in pieces, beside one sent whole."""

import sys
from pathlib import Path
from statistics import quantiles

import pytest
from beside_kit import ThinLine, thin_line
from brokers import eventually
from file_kit import picture, sha256_of
from file_station import FolderUploads
from outboxes import STATION

from cloud_sync.station.files import FileSender
from cloud_sync.station.passenger import Publish
from cloud_sync.wire import topics
from cloud_sync.wire.broker import available_kinds
from cloud_sync.wire.messages import BLOCK_BYTES

pytestmark = [
    pytest.mark.benchmark,
    pytest.mark.skipif("mosquitto" not in available_kinds(), reason="mosquitto is not on this machine"),
]
IMAGE = picture(600_000)


class WholeSender(FileSender):
    """What we do not do: all pieces of an image at once, as many as the window takes."""

    def __init__(self, uploads: FolderUploads) -> None:
        super().__init__(STATION, uploads)
        self._left: list[int] | None = None

    def work(self, now_s: float, publish: Publish) -> None:
        sha256 = sha256_of(IMAGE)
        if self._left is None:
            self._left = list(range(0, len(IMAGE), BLOCK_BYTES))
        while self._left and publish(
            topics.file_chunk(STATION, sha256, self._left[0]), IMAGE[self._left[0] : self._left[0] + BLOCK_BYTES]
        ):
            self._left.pop(0)
            self.counts.pieces += 1
        del now_s

    def hear(self, subject: str, payload: bytes) -> bool:
        del payload
        return subject == "file-ack"


def shown(name: str, took_s: list[float]) -> None:
    cuts = quantiles(took_s, n=100, method="inclusive")
    sys.stderr.write(f"\n{name}: {len(took_s)} verdicts, p50 {cuts[49]:.3f} s, p99 {cuts[98]:.3f} s\n")


def beside(line: ThinLine) -> list[float]:
    sha256 = line.uploads.add(IMAGE)
    eventually(lambda: line.pieces >= 1, 30)
    return line.verdicts_while(lambda: not line.has_up(sha256))


def test_a_verdict_beside_an_image_waits_for_one_piece_at_most(tmp_path: Path) -> None:
    with thin_line(tmp_path / "pieces") as line:
        left = iter(range(30))
        line.verdict_s()
        alone = line.verdicts_while(lambda: next(left, None) is not None)
        pieces = beside(line)
    with thin_line(tmp_path / "whole", WholeSender) as line:
        eventually(lambda: line.pieces >= 15, 30)
        whole = [line.verdict_s()]
    shown("alone", alone)
    shown("beside an image in pieces", pieces)
    sys.stderr.write(f"beside an image sent whole: {whole[0]:.3f} s\n")
    longest_piece_s = 2 * (BLOCK_BYTES + 1000) / 125_000  # the one under way, and the one sent while the answer came
    assert max(pieces) < 3 * (longest_piece_s + max(alone))
    assert whole[0] > max(pieces)
