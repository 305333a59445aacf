"""How a station stands, by its last words: what is old says nothing of now."""

import pytest
from fleet_kit import health

from cloud_sync.hub.store.overview import StationLine
from cloud_sync.hub.web.standing import SILENT_MS, Word, word_of
from cloud_sync.wire.messages import HealthMessage

NOW_MS = 1_800_000_000_000


@pytest.mark.parametrize(
    ("seen_ago_ms", "health_ago_ms", "word"),
    [
        pytest.param(1_000, 60_000, Word.READY, id="just now"),
        pytest.param(SILENT_MS + 1, SILENT_MS + 1, Word.SILENT, id="nothing came"),
        pytest.param(1_000, 3_600_000, Word.SILENT, id="back again, and its word is of before"),
        pytest.param(-3_600_000, -3_600_000, Word.SILENT, id="our clock was set back since"),
    ],
)
def test_no_station_is_ready_by_an_old_word(seen_ago_ms: int, health_ago_ms: int, word: Word) -> None:
    said = HealthMessage.unpack(health(NOW_MS - health_ago_ms).encode())
    line = StationLine(
        station="s-1", state="online", since_ms=1, last_seen_at_ms=NOW_MS - seen_ago_ms, version="1", health=said,
        health_at_ms=NOW_MS - health_ago_ms, lost=0, quarantined=0, dead_letters=0, drift=(), hours=(), in_use=(),
    )  # fmt: skip
    assert word_of(line, NOW_MS) is word
