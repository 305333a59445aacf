"""The working folder of a calibration: what is finished is kept, what is harmed or half made is not believed."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.calibrate.stages import Stages, open_stages, read_request
from edge.domain.errors import ConfigError, StorageError

REQUEST: dict[str, object] = {"bundle_id": "cells"}


def write_word(word: str) -> Callable[[Path], None]:
    return lambda folder: (folder / "word.txt").write_text(word) and None


def read_word(folder: Path) -> str:
    return (folder / "word.txt").read_text()


def once(stages: Stages, word: str, made_from: object = 1) -> str:
    return stages.once("fit", made_from, write_word(word), read_word)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder in which one stage was finished, and then the run ended."""
    made = tmp_path / "calibrations" / "cells"
    with open_stages(made, REQUEST, resume=False) as stages:
        assert once(stages, "first") == "first"
        assert stages.reused == []
    return made


def test_a_finished_stage_is_read_and_not_made_again(folder: Path) -> None:
    with open_stages(folder, {}, resume=True) as stages:
        assert once(stages, "second") == "first"
        assert stages.reused == ["fit"]
    assert read_request(folder) == REQUEST


def test_a_stage_made_from_something_else_is_made_anew(folder: Path) -> None:
    with open_stages(folder, {}, resume=True) as stages:
        assert once(stages, "second", made_from=2) == "second"
        assert once(stages, "third", made_from=2) == "second"


def flip(path: Path) -> None:
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])


@pytest.mark.parametrize(
    "harm",
    [
        pytest.param(lambda fit: flip(fit / "word.txt"), id="a flipped bit"),
        pytest.param(lambda fit: (fit / "word.txt").unlink(), id="a file is gone"),
        pytest.param(lambda fit: (fit / "more.txt").write_text("x"), id="a file too many"),
        pytest.param(lambda fit: (fit / "stage.json").write_text("{"), id="its own list is cut short"),
        pytest.param(lambda fit: (fit / "stage.json").unlink(), id="its own list is gone"),
    ],
)
def test_a_harmed_stage_is_made_anew(folder: Path, harm: Callable[[Path], object]) -> None:
    harm(folder / "fit")
    with open_stages(folder, {}, resume=True) as stages:
        assert once(stages, "second") == "second"
        assert stages.reused == []


def test_what_cannot_be_understood_any_more_is_made_anew(folder: Path) -> None:
    def read_number(kept: Path) -> int:
        return int(read_word(kept))

    with open_stages(folder, {}, resume=True) as stages:
        assert stages.once("fit", 1, write_word("7"), read_number) == 7


def test_a_stage_that_fails_leaves_nothing_half_made(folder: Path) -> None:
    def fail(scratch: Path) -> None:
        (scratch / "half.txt").write_text("half")
        raise KeyboardInterrupt

    with open_stages(folder, {}, resume=True) as stages, pytest.raises(KeyboardInterrupt):
        stages.once("tune", 1, fail, read_word)
    assert sorted(path.name for path in folder.iterdir()) == ["calibrate.lock", "fit", "request.json"]


def test_a_start_without_resume_begins_with_an_empty_folder(folder: Path) -> None:
    with open_stages(folder, REQUEST, resume=False) as stages:
        assert once(stages, "second") == "second"


def test_frames_that_a_camera_took_are_thrown_away_only_when_asked(folder: Path) -> None:
    (folder / "frames").mkdir()
    (folder / "frames" / "000001.png").write_bytes(b"picture")
    with (
        pytest.raises(ConfigError, match=r"1 frames from the camera.*--resume.*--anew"),
        open_stages(folder, {}, resume=False),
    ):
        pass
    with open_stages(folder, REQUEST, resume=False, anew=True) as stages:
        assert not stages.frames.exists()


def test_frames_of_a_finished_calibration_may_go(folder: Path) -> None:
    with open_stages(folder, REQUEST, resume=True) as stages:
        stages.frames.mkdir()
        (stages.frames / "000001.png").write_bytes(b"picture")
        stages.finish({"bundle": "v1"})
    with pytest.raises(ConfigError, match="nothing to resume, the last one is finished"):
        read_request(folder)
    with open_stages(folder, REQUEST, resume=False) as stages:
        assert not stages.frames.exists()


def test_there_must_be_something_to_resume(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing to resume"), open_stages(tmp_path / "none", {}, resume=True):
        pass


def test_a_request_that_cannot_be_read_says_so(folder: Path) -> None:
    (folder / "request.json").write_text("{")
    with pytest.raises(ConfigError, match=r"cannot be read.*--anew"):
        read_request(folder)


_KILLED = """
import os, signal, sys
from pathlib import Path
from edge.calibrate.stages import open_stages

def make(folder):
    (folder / "half.txt").write_text("half")
    sys.stdout.write("making\\n")
    sys.stdout.flush()
    sys.stdin.read()

with open_stages(Path(sys.argv[1]), {}, resume=True) as stages:
    stages.once("tune", 1, make, lambda folder: None)
"""


def test_one_process_at_a_time_and_a_kill_frees_the_folder_and_is_swept(folder: Path) -> None:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", _KILLED, str(folder)], **pipes) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"making\n"
        with (
            pytest.raises(StorageError, match=f"another `edge calibrate` of this product .pid {other.pid}"),
            open_stages(folder, {}, resume=True),
        ):
            pass
        other.send_signal(signal.SIGKILL)
        other.wait(10)
    assert any(path.name.startswith(".tune-") for path in folder.iterdir())
    with open_stages(folder, {}, resume=True) as stages:
        assert once(stages, "second") == "first"
    assert json.loads((folder / "request.json").read_text()) == REQUEST
    assert not any(path.name.startswith(".") for path in folder.iterdir())
