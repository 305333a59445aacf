"""Cameras that are absent, dark, cut wrongly or set wrongly, and those that a running station has."""

import json
from pathlib import Path

import cv2
import gige_kit
import numpy as np
import pytest
from doctor_kit import expect, run_by_us, station_around, well
from gige_kit import own_network, simulated_camera
from station_kit import write_frames

from edge.doctor.around import Around
from edge.doctor.finding import Finding
from edge.doctor.rooms.camera import camera

RTSP = {"source": "rtsp://eve@127.0.0.1:1/x", "trigger": "free", "loop": False, "latency_ms": 50}


def look(around: Around) -> list[Finding]:
    assert around.config is not None
    return list(camera(around, around.config.camera[0]))


def station(folder: Path, **settings: object) -> Around:
    return station_around(folder, {"camera": settings})


def test_a_picture_of_a_replay_is_taken_and_it_is_said_that_it_is_one(tmp_path: Path) -> None:
    write_frames(tmp_path / "frames", 2)
    found = look(station(tmp_path))
    expect(found, "camera.replayed", "frames")
    assert "80x60" in well(finding for finding in found if finding.id != "camera.replayed")[0].found


def test_a_folder_without_pictures_is_found(tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    expect(look(station(tmp_path)), "camera.no-picture", "top")


def test_a_device_that_is_not_there_is_found(tmp_path: Path) -> None:
    around = station(tmp_path, source="/dev/video987", trigger="free", loop=False)
    expect(look(around), "camera.no-picture", "/dev/video987")


@pytest.mark.parametrize(("level", "word"), [(0, "black"), (90, "flat")])
def test_a_picture_that_shows_nothing_is_noted(tmp_path: Path, level: int, word: str) -> None:
    (tmp_path / "frames").mkdir()
    cv2.imwrite(str(tmp_path / "frames" / "1.png"), np.full((60, 80, 3), level, np.uint8))
    expect(look(station(tmp_path)), "camera.poor-picture", word)


def test_a_region_beyond_the_picture_is_found(tmp_path: Path) -> None:
    write_frames(tmp_path / "frames", 1)
    expect(look(station(tmp_path, roi=[0, 0, 200, 60])), "camera.roi", "80x60", "edge camera grab top --whole -c")


def test_settings_that_no_such_camera_takes_are_found(tmp_path: Path) -> None:
    expect(look(station(tmp_path, **RTSP | {"latency_ms": 0})), "camera.settings", "latency_ms")


def test_a_password_that_is_absent_or_for_everybody_is_found(tmp_path: Path) -> None:
    around = station(tmp_path, **RTSP, password_file="top.password")  # noqa: S106 - a file's name
    expect(look(around), "camera.no-password", "top.password")
    (tmp_path / "top.password").write_text("secret")
    (tmp_path / "top.password").chmod(0o644)
    found = look(around)
    expect(found, "camera.password-open", "chmod 0600")
    assert all("secret" not in finding.found for finding in found)


def test_a_camera_is_never_taken_from_a_running_station(tmp_path: Path) -> None:
    around = station(tmp_path, source="/dev/video987", trigger="free", loop=False)
    status = around.data_dir / "status.json"
    with run_by_us(around):
        status.write_text(json.dumps({"faults": {"camera:top": "camera 'top' is lost: unplugged"}}))
        expect(look(around), "camera.lost", "unplugged")
        status.write_text(json.dumps({"faults": {}}))
        assert "running station" in well(look(around))[0].found


@pytest.mark.skipif(bool(gige_kit.missing()), reason=gige_kit.missing() or "all there")
def test_a_camera_that_waits_for_the_lines_trigger_is_noted_and_not_called_broken(tmp_path: Path) -> None:
    write_frames(tmp_path / "shown", 1)
    gige = {"source": "gige://GV77", "trigger": "hardware", "latency_ms": 5, "timeout_ms": 100, "loop": False}
    with own_network(), simulated_camera(tmp_path / "shown", tmp_path / "exposed", "--with-line"):
        around = station(tmp_path, **gige, open_timeout_ms=50, read_timeout_ms=50)
        expect(look(around), "camera.no-trigger", "trigger_line of camera top")
        expect(look(station(tmp_path, **gige | {"source": "gige://none"})), "camera.no-picture")
