"""Addresses and logins of network cameras, and what is shown of them: never a password."""

from pathlib import Path

import pytest
from edge_kit import image
from served import network_section

from edge.capture.network.address import NetworkTimes, Trust, parse_address, password_variable
from edge.capture.network.live import PacedLiveness
from edge.capture.network.mjpeg import MjpegCamera
from edge.capture.network.rtsp import RtspCamera
from edge.capture.open import is_replayed, make_camera
from edge.config import CameraSection, load_config
from edge.domain.errors import CameraError, ConfigError
from edge.domain.secrets import redacted

SECRET = "hunter2"  # noqa: S105 - the one that must not be seen


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("rtsp://me:hunter2@cam/1", "rtsp://***@cam/1", id="login"),
        pytest.param("at rtsp://me:hun/ter2@x@cam/1: gone", "at rtsp://***@cam/1: gone", id="odd signs in it"),
        pytest.param("http://cam/v.cgi?user=me&pwd=hunter2&ch=1", "http://cam/v.cgi?user=***&pwd=***&ch=1", id="query"),
        pytest.param("http://cam/view?channel=1", "http://cam/view?channel=1", id="nothing to hide"),
        pytest.param("'http://a:b@c/' and 'http://d:e@f/'", "'http://***@c/' and 'http://***@f/'", id="two"),
        pytest.param("rtsp://u:geh eim@h/x", "rtsp://***@h/x", id="space in it"),
        pytest.param("'rtsp://u:p'w\"@h/x' and rtsp://v:q@i", "'rtsp://***@h/x' and rtsp://***@i", id="quotes in it"),
    ],
)
def test_secrets_are_starred_out_and_nothing_else(text: str, shown: str) -> None:
    assert redacted(text) == shown


@pytest.mark.parametrize(
    ("source", "environ", "in_file", "login"),
    [
        pytest.param("rtsp://cam/1", {}, None, "rtsp://cam/1", id="none"),
        pytest.param("rtsp://me:a%40b@cam:99/1", {}, None, "rtsp://me:a%40b@cam:99/1", id="in the source"),
        pytest.param("rtsp://me@cam/1", {"EDGE_CAMERA_TOP_1_PASSWORD": "x/y"}, None, "rtsp://me:x%2Fy@cam/1", id="env"),
        pytest.param("http://me@[::1]/1", {}, "p\n", "http://me:p@[::1]/1", id="file, IPv6"),
    ],
)
def test_a_password_comes_from_where_it_is_kept(
    tmp_path: Path, source: str, environ: dict[str, str], in_file: str | None, login: str
) -> None:
    file = None if in_file is None else tmp_path / "password"
    if file is not None:
        file.write_text(str(in_file))
    address = parse_address("top-1", source, file, environ)
    assert address.with_login == login
    assert "@" not in f"{address} {address!r} {address.url}"
    assert password_variable("top-1") == "EDGE_CAMERA_TOP_1_PASSWORD"


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        pytest.param({"source": "gopher://me:hunter2@cam/1"}, "expected a device index", id="another scheme"),
        pytest.param({"trigger": "software"}, "runs freely", id="a trigger"),
        pytest.param({"latency_ms": 0}, "set latency_ms", id="no latency: it would judge the part before"),
        pytest.param({"source": "rtsp:///1"}, "names no host", id="no host"),
        pytest.param({"source": "rtsp://me:hunter2@cam:none/1"}, "no address", id="no port"),
        pytest.param({"source": "rtsp://me:hunter2@cam..two/1"}, "no address", id="a name that can be none"),
        pytest.param({"source": "rtsp://me:hunter2@cam/\u00e4"}, "no address", id="a path that is no address"),
        pytest.param({"source": "rtsp://:hunter2@cam/1"}, "no user", id="a password and no user"),
        pytest.param({"password_file": "/nowhere/password"}, "cannot read password_file", id="no password file"),
    ],
)
def test_a_source_that_cannot_work_is_refused_and_its_password_not_shown(
    changes: dict[str, object], complaint: str
) -> None:
    section = network_section("rtsp://me:hunter2@cam/1").model_copy(update=changes)
    if "password_file" in changes:
        section = section.model_copy(update={"password_file": Path("/nowhere/password")})
    with pytest.raises(ConfigError, match=complaint) as error:
        make_camera(section)
    assert SECRET not in str(error.value)


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        pytest.param("rtsp://cam/1", RtspCamera, id="rtsp"),
        pytest.param("rtsps://cam/1", RtspCamera, id="rtsps"),
        pytest.param("http://cam/1", MjpegCamera, id="http"),
        pytest.param("HTTPS://cam/1", MjpegCamera, id="https, in capitals"),
    ],
)
def test_addresses_and_their_drivers(source: str, kind: type) -> None:
    section = network_section(source)
    assert isinstance(make_camera(section), kind)
    assert not is_replayed(section)


@pytest.mark.parametrize(
    "mistake",
    [pytest.param("latency_ms = 400000", id="the file as a whole"), pytest.param("latency_ms = -1", id="one value")],
)
def test_a_mistake_in_station_toml_does_not_show_a_cameras_password(tmp_path: Path, mistake: str) -> None:
    text = "[station]\nid = 's-1'\n[[camera]]\nid = 'top'\nsource = 'rtsp://me:hunter2@cam/1'\n" + mistake
    (tmp_path / "station.toml").write_text(text + "\n[[product]]\nid = 'p'\nbundle = 'b'\n")
    with pytest.raises(ConfigError) as error:
        load_config(tmp_path / "station.toml")
    assert SECRET not in str(error.value)


def test_a_password_file_lies_beside_the_file_that_names_it(tmp_path: Path) -> None:
    text = "[station]\nid = 's-1'\n[[camera]]\nid = 'top'\nsource = 'rtsp://me@cam/1'\npassword_file = 'secret'\n"
    (tmp_path / "station.toml").write_text(text + "latency_ms = 9\n[[product]]\nid = 'p'\nbundle = 'b'\n")
    camera: CameraSection = load_config(tmp_path / "station.toml").camera[0]
    assert camera.password_file == tmp_path / "secret"
    assert camera.source == "rtsp://me@cam/1"


def trust(read_s: float = 0.5) -> Trust:
    return Trust(parse_address("top", "rtsp://cam/1", None, {}), NetworkTimes(1, read_s, 0.1), PacedLiveness(), 0.0)


def test_an_image_that_came_near_the_time_limit_is_from_before_the_hang() -> None:
    """OpenCV's read gives the decoder's last image when its time is up, and says that all is well."""
    with pytest.raises(CameraError, match="no image for 480 ms, where read_timeout_ms is 500"):
        trust().shot(image(), 10.0, 10.48, 0.0)


def test_images_that_change_their_size_end_the_connection() -> None:
    seen = trust()
    seen.shot(image(size=(80, 60)), 1.0, 1.0, 0.0)
    with pytest.raises(CameraError, match="changed from 80x60 to 40x30"):
        seen.shot(image(size=(40, 30)), 1.1, 1.1, 0.0)


def test_images_that_are_never_believed_end_the_connection() -> None:
    seen = trust()
    assert [seen.shot(image(), tenth / 10, tenth / 10, 0.0) for tenth in range(4)] == [None] * 4
    seen.refuse(3.4, "late")
    with pytest.raises(CameraError, match=r"no image that can be trusted for 3\.6 s: late"):
        seen.refuse(3.6, "late")
