"""On a line of 1 Mbit/s no verdict waits behind an image."""

from pathlib import Path

import pytest
from beside_kit import thin_line
from brokers import eventually
from file_kit import picture

from cloud_sync.wire.broker import available_kinds

pytestmark = pytest.mark.skipif("mosquitto" not in available_kinds(), reason="mosquitto is not on this machine")


def test_verdicts_are_acknowledged_one_by_one_while_an_image_is_under_way(tmp_path: Path) -> None:
    with thin_line(tmp_path) as line:
        line.verdict_s()
        sha256 = line.uploads.add(picture(1_250_000))  # ten seconds of this line, and more
        eventually(lambda: line.pieces >= 1, 30)
        for _ in range(5):
            line.verdict_s()
        assert not line.has_up(sha256)
