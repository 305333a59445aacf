"""`edge camera list` and `edge camera grab`, as an engineer runs them."""

import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import gige_kit
import pytest
from brokers import eventually
from daemon_kit import daemon, line_to, status
from gige_kit import ADDRESS, SERIAL, own_network, simulated_camera
from served import Server, served
from served_pictures import HEIGHT, WIDTH, taken_ms
from station_kit import Station, make_bundle, run_json, write_frames

from edge.capture.devices import device_trouble, video_devices


@pytest.fixture(scope="module")
def mjpeg() -> Iterator[Server]:
    with served("mjpeg", "--user", "eve:hunter2") as server:
        yield server


def station_with(folder: Path, url: str, **camera: object) -> Station:
    made = Station(folder, settings={"camera": {"source": url, "trigger": "free", "latency_ms": 50, **camera}})
    made.write_config()
    return made


def test_a_grab_writes_an_image_and_says_what_it_saw(tmp_path: Path, mjpeg: Server) -> None:
    (tmp_path / "secret").write_text("hunter2\n")
    made = station_with(tmp_path, mjpeg.url(login="eve@"), password_file="secret")  # noqa: S106 - a file's name
    out = tmp_path / "seen.png"
    code, said = run_json(["edge", "camera", "grab", "-c", str(made.config), "--out", str(out), "--json"])
    assert code == 0, said
    assert (said["width"], said["height"], said["format"]) == (WIDTH, HEIGHT, "png, 8 bit BGR")
    assert said["images"] > 1
    assert said["rate_fps"] > 0
    assert said["age_ms"] >= 0
    image = cv2.imread(said["path"])
    assert image is not None
    assert taken_ms(image)


def test_a_grab_of_a_triggered_replay_takes_one(tmp_path: Path) -> None:
    write_frames(tmp_path / "frames", 2)
    config = Station(tmp_path).write_config()
    out = tmp_path / "seen.jpg"
    code, said = run_json(["edge", "camera", "grab", "top", "-c", str(config), "--out", str(out), "--json"])
    assert (code, said["width"], said["height"], said["rate_fps"]) == (0, 80, 60, None)
    assert out.exists()


def test_collected_images_are_those_of_the_camera_and_a_second_run_asks_for_resume(tmp_path: Path) -> None:
    write_frames(tmp_path / "frames", 5)
    made, out = station_with(tmp_path, "frames", fps=50, loop=False), tmp_path / "good"
    base = ["edge", "camera", "collect", str(out), "-c", str(made.config), "--every-frame", "--json"]
    code, said = run_json([*base, "--parts", "3"])
    assert (code, said["frames"]) == (0, 3), said
    names = [path.name for path in sorted(out.glob("*.png"))]
    assert names == ["000001.png", "000002.png", "000003.png"]
    seen = {cv2.imread(str(path)).tobytes() for path in (tmp_path / "frames").iterdir()}
    assert {cv2.imread(str(out / name)).tobytes() for name in names} <= seen
    code, said = run_json([*base, "--parts", "3"])
    assert code == 2
    assert "--resume" in str(said["error"])
    code, said = run_json([*base, "--parts", "40", "--resume", "--limit-s", "2"])
    assert code == 3, said
    assert "40" in str(said["error"])


def test_a_grab_of_a_short_free_replay_takes_what_there_is(tmp_path: Path) -> None:
    write_frames(tmp_path / "frames", 3)
    made = station_with(tmp_path, "frames", fps=20, loop=False)
    out = tmp_path / "seen.png"
    code, said = run_json(["edge", "camera", "grab", "-c", str(made.config), "--out", str(out), "--json"])
    assert (code, said["images"]) == (0, 3), said


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        pytest.param(["nobody"], 2, "one of top", id="no such camera"),
        pytest.param(["--out", "seen.txt"], 2, "expected a file ending in", id="no image file"),
        pytest.param(["--out", "gone/seen.png"], 3, "cannot write", id="no such folder"),
    ],
)
def test_a_grab_that_cannot_be_says_why(tmp_path: Path, arguments: list[str], code: int, why: str) -> None:
    write_frames(tmp_path / "frames", 1)
    config = Station(tmp_path).write_config()
    found, said = run_json(["edge", "camera", "grab", *arguments, "-c", str(config), "--json"])
    assert found == code
    assert why in said["error"]


@pytest.mark.parametrize(
    ("source", "why"),
    [
        pytest.param("/dev/video77", "/dev/video77 is not there", id="a device that is not there"),
        pytest.param("http://eve:hunter2@127.0.0.1:1/view", "refused", id="nobody at the address"),
    ],
)
def test_a_grab_of_a_camera_that_is_not_there_ends_in_three(tmp_path: Path, source: str, why: str) -> None:
    made = station_with(tmp_path, source)
    code, said = run_json(["edge", "camera", "grab", "-c", str(made.config), "--json"])
    assert (code, said["kind"]) == (3, "CameraError")
    assert why in said["error"]
    assert "hunter2" not in json.dumps(said)


def test_a_wrong_password_is_said_and_not_shown(tmp_path: Path, mjpeg: Server) -> None:
    made = station_with(tmp_path, mjpeg.url(login="eve:wrong-word@"))
    code, said = run_json(["edge", "camera", "grab", "-c", str(made.config), "--json"])
    assert code == 3
    assert "401" in said["error"]
    assert "wrong-word" not in json.dumps(said)


def test_a_list_without_a_running_station_knows_the_cameras_and_not_their_state(tmp_path: Path) -> None:
    made = station_with(tmp_path, "rtsp://eve:hunter2@cam/1")
    code, said = run_json(["edge", "camera", "list", "-c", str(made.config), "--json"])
    row = said["cameras"][0]
    assert (code, row["id"], row["state"], row["source"]) == (0, "top", "unknown", "rtsp://***@cam/1")
    code, said = run_json(["edge", "camera", "list", "-c", str(tmp_path / "gone.toml"), "--json"])
    assert code == 2


def test_a_list_beside_a_running_station_says_which_camera_is_lost(tmp_path: Path) -> None:
    write_frames(tmp_path / "frames", 2)
    made = Station(tmp_path)
    made.write_config()
    make_bundle(made.bundles)
    with made.config.open("a") as file:
        file.write("[[camera]]\nid = 'side'\nsource = '/dev/video77'\n")
    with daemon(made), line_to(made) as line:
        while "is not there" not in str(line.hear_ready(ready=False)["why"]):
            pass
        eventually((tmp_path / "data" / "status.json").exists)
        eventually(lambda: "is not there" in status(made)["why"])
        code, said = run_json(["edge", "camera", "list", "-c", str(made.config), "--json"])
    assert code == 1
    assert [(row["id"], row["state"]) for row in said["cameras"]] == [("top", "ok"), ("side", "lost")]


def test_devices_are_listed_as_the_kernel_names_them(tmp_path: Path) -> None:
    for number, name in ((10, "Ten"), (2, "Two")):
        node = tmp_path / "sys" / "class" / "video4linux" / f"video{number}"
        node.mkdir(parents=True)
        (node / "name").write_text(f"{name}\n")
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "video2").touch()
    two, ten = video_devices(tmp_path)
    assert (two.name, two.path, two.trouble) == ("Two", tmp_path / "dev" / "video2", "")
    assert ten.name == "Ten"
    assert "not there" in ten.trouble
    assert video_devices(tmp_path / "nowhere") == []
    assert "plugged in" in device_trouble(Path("/dev/video77"))


@pytest.mark.skipif(bool(gige_kit.missing()), reason=gige_kit.missing() or "all there")
def test_the_list_of_cameras_shows_those_that_answer_when_asked_to(tmp_path: Path) -> None:
    write_frames(tmp_path / "images", 2)
    with own_network(), simulated_camera(tmp_path / "images", tmp_path / "camera.log"):
        code, said = run_json(["edge", "camera", "list", "--gige", "--json"])
        assert (code, [(found["serial"], found["address"]) for found in said["gige"]]) == (0, [(SERIAL, ADDRESS)])
        assert "gige" not in run_json(["edge", "camera", "list", "--json"])[1]
