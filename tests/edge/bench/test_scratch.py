from pathlib import Path

import pytest
from station_kit import Station, make_bundle, write_frames

from edge.bench.frames import Frames, prepare_frames
from edge.bench.scratch import as_toml, scratch_config, write_scratch
from edge.bench.settings import Setting
from edge.config import StationConfig, load_config
from edge.domain.errors import ConfigError


@pytest.fixture
def own(tmp_path: Path) -> StationConfig:
    made = Station(tmp_path / "own", broker="127.0.0.1:1", settings={"line": {"deadline_ms": 321}})
    text = made.write_config().read_text()
    text += "code = { kind = 'qr', on_repeat = 'undecided' }\n[product.recipe]\nmm_per_px = 1e-05\n"
    text += "[product.recipe.classes.anomaly]\nmin_score = 0.7\nzones = [[1, 2, 3, 4.5]]\n"
    text += "[[output]]\nid = 'bus'\nkind = 'mqtt'\nbroker = 'mqtt://127.0.0.1:2'\ntopic = 'ä/\"b\"'\n"
    made.config.write_text(text, encoding="utf-8")
    return load_config(made.config)


FRAMES = Frames(Path("/frames"), "somewhere", 3, (80, 60))


def test_a_copy_keeps_what_is_measured_and_touches_nothing_of_the_stations_own(
    own: StationConfig, tmp_path: Path
) -> None:
    copy = scratch_config(own, own.product[0], Setting(3, images="all"), FRAMES, tmp_path / "scratch")
    assert copy.product[0].recipe == own.product[0].recipe
    assert copy.inference == own.inference
    assert copy.line.deadline_ms == 321
    assert copy.retention.images == "all"
    assert [camera.id for camera in copy.camera] == ["bench-1", "bench-2", "bench-3"]
    assert copy.output == []
    assert copy.sync.broker is None
    assert copy.line.port != own.line.port
    assert copy.station.data_dir == tmp_path / "scratch" / "data"
    text = as_toml(copy)
    assert str(own.station.data_dir) not in text
    assert all(camera.source == "/frames" for camera in copy.camera)


def test_what_is_written_reads_back_as_the_same(own: StationConfig, tmp_path: Path) -> None:
    file = tmp_path / "station.toml"
    file.write_text(as_toml(own), encoding="utf-8")
    assert load_config(file).model_dump() == own.model_dump()
    copy = scratch_config(own, own.product[0], Setting(2), FRAMES, tmp_path / "scratch")
    station = write_scratch(copy, own, tmp_path / "cache", tmp_path / "scratch")
    assert load_config(station.file).model_dump() == copy.model_dump()


def test_the_bundles_own_frames_or_a_folders_are_shown_as_bitmaps(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundles")
    own = prepare_frames(bundle, None, tmp_path / "own")
    assert (own.count, own.size, own.source) == (2, (64, 64), "the bundle's self-test")
    write_frames(tmp_path / "pictures", 70)
    given = prepare_frames(bundle, tmp_path / "pictures", tmp_path / "given")
    assert (given.count, given.size) == (64, (80, 60))
    assert {path.suffix for path in (tmp_path / "given").iterdir()} == {".bmp"}


def test_a_folder_without_images_is_named(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundles")
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "none"):
        with pytest.raises(ConfigError, match="--from"):
            prepare_frames(bundle, folder, tmp_path / "bitmaps")
