"""The files that the demo writes are those that station and cloud accept."""

from pathlib import Path

import pytest

from cloud_sync.hub.retraining.cloud_toml import load_config as load_cloud
from edge.config import load_config
from edge.demo.settings import FAST_LOOP, FIRST, FULL_LOOP, LINE, UNSEEN, DemoSettings, Loop, Shift

BROKER = "mqtt://127.0.0.1:1883"


@pytest.mark.parametrize("shift", [FIRST, LINE, UNSEEN], ids=lambda shift: shift.source)
def test_each_shift_is_a_station_that_a_classifier_may_come_to(shift: Shift, tmp_path: Path) -> None:
    (tmp_path / "station.toml").write_text(DemoSettings(FAST_LOOP).station_file(shift, 7411, BROKER))
    config = load_config(tmp_path / "station.toml")
    assert config.product[0].recipe_for("classifier").kind == "classifier"
    assert config.triage.per_hour == shift.samples


@pytest.mark.parametrize("loop", [FULL_LOOP, FAST_LOOP], ids=["full", "fast"])
def test_the_cloud_takes_its_file(loop: Loop, tmp_path: Path) -> None:
    (tmp_path / "cloud.toml").write_text(DemoSettings(loop).cloud_file(BROKER))
    product = load_cloud(tmp_path / "cloud.toml").product_of("cell")
    assert (product.method, product.size_px, product.triggers.new_labels) == ("probe", loop.size_px, loop.labels)


def test_what_is_kept_for_the_end_teaches_nobody(tmp_path: Path) -> None:
    (tmp_path / "station.toml").write_text(DemoSettings(FAST_LOOP).station_file(UNSEEN, 7411, BROKER))
    config = load_config(tmp_path / "station.toml")
    assert (config.sync.images, config.triage.per_hour) == ("none", 0)
