"""What the daemon says of itself goes on being said."""

import json
from pathlib import Path

from brokers import eventually
from station_kit import Station, make_bundle, write_frames

from edge.assembly import Assembly
from edge.config import load_config
from edge.lifesign import Lifesign


def test_one_second_that_cannot_be_told_is_not_the_last_word(tmp_path: Path) -> None:
    made = Station(tmp_path)
    config = load_config(made.write_config())
    make_bundle(made.bundles)
    write_frames(made.folder / "frames", 1)
    station, asked = Assembly(config), []

    def masters() -> dict[str, object]:
        asked.append(None)
        if len(asked) == 1:
            raise RuntimeError("dictionary changed size during iteration")
        return {}

    lifesign = Lifesign(station, masters)
    lifesign.start()
    try:
        eventually(config.status_path.is_file)
        assert json.loads(config.status_path.read_text())["running"]
    finally:
        lifesign.stop(5)
        for engine in station.engines.values():
            engine.close()
