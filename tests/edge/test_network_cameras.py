"""Network cameras against real servers: what is ill is refused and named, what is old is never taken for fresh."""

import os
import queue
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from brokers import eventually
from served import Server, first_shot, network_section, served
from served_pictures import HEIGHT, WIDTH, taken_ms
from slow_link import slow_link

from edge.capture.camera import Camera, Shot
from edge.capture.drain import CaptureLimits, Claim, Drain
from edge.capture.open import make_camera
from edge.domain.errors import CameraError

LATENCY_S = 0.1
KINDS = ["mjpeg", "rtsp"]
LOGIN = "eve:sec/ret"
IN_URL = "eve:sec%2Fret@"


@pytest.fixture(scope="module")
def mjpeg() -> Iterator[Server]:
    with served("mjpeg") as server:
        yield server


@pytest.fixture(scope="module")
def rtsp() -> Iterator[Server]:
    with served("rtsp") as server:
        yield server


@pytest.fixture(params=KINDS)
def server(request: pytest.FixtureRequest) -> Server:
    made: Server = request.getfixturevalue(request.param)
    return made


def camera_at(url: str, **more: object) -> Camera:
    return make_camera(network_section(url, **more))


@contextmanager
def opened(url: str, **more: object) -> Iterator[Camera]:
    camera = camera_at(url, **more)
    camera.open()
    try:
        yield camera
    finally:
        camera.close()


def why_not(url: str, **more: object) -> str:
    """What opening says; within its time limits."""
    camera, started_s = camera_at(url, open_timeout_ms=500, read_timeout_ms=300, **more), time.monotonic()
    with pytest.raises(CameraError) as error:
        camera.open()
    assert error.value.reason == "camera_lost"
    assert time.monotonic() - started_s < 4
    camera.close()
    return str(error.value)


def test_images_come_in_their_order_and_their_age_is_known(server: Server) -> None:
    with opened(server.url()) as camera:
        shots = [(first_shot(camera), time.monotonic()) for _ in range(8)]
    times = [taken_ms(shot.image) for shot, _ in shots]
    assert times == sorted(set(times))
    for (shot, came_s), at_ms in zip(shots, times, strict=True):
        assert shot.image.shape == (HEIGHT, WIDTH, 3)
        assert at_ms / 1000 <= came_s - shot.held_s <= at_ms / 1000 + LATENCY_S + 0.05


def test_a_declared_latency_below_what_decoding_takes_is_refused(rtsp: Server) -> None:
    """At 5 images a second, H.264 came 200 ms old, and latency_ms = 100 let parts have frames from before them."""
    with opened(rtsp.url(), latency_ms=30) as camera, pytest.raises(CameraError, match="latency_ms 30 is too small"):
        first_shot(camera)


@contextmanager
def drained(url: str) -> Iterator[Drain]:
    limits = CaptureLimits(LATENCY_S, 0.4, 0.5, 16)
    drain = Drain("top", camera_at(url), limits, triggered=False, on_state=lambda _lost, _why: None)
    drain.start()
    try:
        eventually(lambda: drain.counters.received)
        yield drain
    finally:
        drain.stop(5)


def test_what_a_stalled_link_held_back_is_never_a_parts_frame(server: Server) -> None:
    """Parts are triggered all the time while the link stalls: no part gets a frame from before its trigger."""
    with slow_link(server.port) as link, drained(server.url().replace(str(server.port), str(link.port))) as drain:
        stalls = [threading.Timer(0.3, link.stall), threading.Timer(0.6, link.flow)]
        stalls += [threading.Timer(1.3, link.stall), threading.Timer(1.9, link.flow)]
        for timer in stalls:
            timer.start()
        claims, until_s = claimed_for(drain, 2.8), time.monotonic() + 15
        reasons = []
        while (claim := claims.get(timeout=5)) is not None and time.monotonic() < until_s:
            try:
                frame = drain.take(claim, claim.triggered_s + 0.5)
            except CameraError as error:
                reasons.append(error.reason)
            else:
                reasons.append("")
                assert taken_ms(frame.image) / 1000 >= claim.triggered_s
    assert reasons.count("") > 5
    assert reasons.count("no_frame") > 5
    assert set(reasons) <= {"", "no_frame", "stale_frame", "camera_lost"}


def claimed_for(drain: Drain, seconds: float) -> "queue.SimpleQueue[Claim | None]":
    """Claims made in a thread of their own, fewer than there are images, and None at their end."""
    claims: queue.SimpleQueue[Claim | None] = queue.SimpleQueue()

    def claim() -> None:
        until_s, pause = time.monotonic() + seconds, threading.Event()
        while time.monotonic() < until_s:
            claims.put(drain.claim(time.monotonic()))
            pause.wait(0.07)
        claims.put(None)

    threading.Thread(target=claim, daemon=True).start()
    return claims


@pytest.mark.parametrize("kind", KINDS)
def test_a_login_that_is_right_opens_and_one_that_is_wrong_is_named(
    kind: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with served(kind, "--user", LOGIN) as server:
        with opened(server.url(login=IN_URL)) as camera:
            assert taken_ms(first_shot(camera).image)
        assert "401" in why_not(server.url())
        wrong = why_not(server.url(login="eve:wrong-word@"))
        assert "check user and password" in wrong
        assert "wrong-word" not in wrong
        monkeypatch.setenv("EDGE_CAMERA_TOP_PASSWORD", "sec/ret")
        with opened(server.url(login="eve@")) as camera:
            assert first_shot(camera).image.size
    said = capfd.readouterr()
    assert "wrong-word" not in said.err + said.out
    assert "ret@" not in said.err + said.out


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_login_is_not_tried_again_at_once(kind: str) -> None:
    """Cameras lock an account after a few tries, and a station tries every two seconds."""
    with served(kind, "--user", LOGIN) as server:
        camera = camera_at(server.url(login="eve:wrong-word@"))
        with pytest.raises(CameraError, match="once a minute") as first:
            camera.open()
        server.kill()
        with pytest.raises(CameraError) as again:
            camera.open()
        assert str(again.value) == str(first.value)


@pytest.mark.parametrize("kind", KINDS)
def test_a_digest_login_opens(kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    with served(kind, "--digest", "--user", LOGIN) as server:
        with opened(server.url(login=IN_URL)) as camera:
            assert taken_ms(first_shot(camera).image)
        assert "401" in why_not(server.url(login="eve:wrong@"))
    assert "ret" not in capfd.readouterr().err


@pytest.mark.parametrize(
    ("path", "why"),
    [
        pytest.param("nothing", "404", id="a wrong path"),
        pytest.param("page", "text/html", id="a web page"),
        pytest.param("mute", "no answer in time", id="accepts and never answers"),
    ],
)
def test_an_http_address_that_is_no_camera_says_what_it_is(mjpeg: Server, path: str, why: str) -> None:
    assert why in why_not(mjpeg.url(path))


def test_an_rtsp_address_that_is_no_camera_says_what_it_is(rtsp: Server, mjpeg: Server) -> None:
    assert "check the path" in why_not(rtsp.url("nothing"))
    assert "speaks no RTSP" in why_not(mjpeg.url().replace("http", "rtsp"))


@pytest.mark.parametrize("scheme", ["http", "rtsp"])
def test_an_address_where_nobody_is_says_so(scheme: str) -> None:
    assert "refused" in why_not(f"{scheme}://127.0.0.1:1/view")
    assert "not known" in why_not(f"{scheme}://no-such-camera.invalid/view")


@pytest.mark.parametrize("scheme", ["http", "rtsp"])
def test_a_server_that_accepts_and_never_answers_does_not_hold_the_station(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert "no answer in time" in why_not(f"{scheme}://127.0.0.1:{port}/view")
        section = network_section(f"{scheme}://127.0.0.1:{port}/view", open_timeout_ms=500, read_timeout_ms=300)
        limits = CaptureLimits(LATENCY_S, 0.4, 0.5, 16)
        drain = Drain("top", make_camera(section), limits, triggered=False, on_state=lambda _lost, _why: None)
        threads = threading.active_count()
        drain.start()
        assert not threading.Event().wait(0.1)
        started_s = time.monotonic()
        drain.stop(5)
        assert time.monotonic() - started_s < 3.5
        assert threading.active_count() == threads


def test_one_camera_that_hangs_does_not_hold_another_up(rtsp: Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, opened(rtsp.url()) as camera:
        url = f"rtsp://127.0.0.1:{listener.getsockname()[1]}/view"
        hung = camera_at(url, open_timeout_ms=1200, read_timeout_ms=300)
        opening = threading.Thread(target=pytest.raises, args=(CameraError, hung.open))
        opening.start()
        first_shot(camera)
        for _ in range(5):
            started_s = time.monotonic()
            first_shot(camera)
            assert time.monotonic() - started_s < 0.6
        assert opening.is_alive()
        opening.join(8)


def test_a_stream_that_falls_silent_is_lost(mjpeg: Server) -> None:
    with opened(mjpeg.url("silent"), read_timeout_ms=300) as camera, pytest.raises(CameraError, match="in time"):
        camera.read(0.1)


def test_half_a_jpeg_is_no_image(mjpeg: Server) -> None:
    """OpenCV's own reader gives it as a whole image, grey where bytes are missing."""
    for path in ("truncated", "halved"):
        with opened(mjpeg.url(path)) as camera:
            shots = [first_shot(camera) for _ in range(6)]
        for shot in shots:
            assert taken_ms(shot.image)


def test_damaged_images_alone_are_no_images(mjpeg: Server) -> None:
    for path in ("damaged", "monstrous"):
        with opened(mjpeg.url(path)) as camera:
            assert [camera.read(0.1) for _ in range(20)] == [None] * 20


def test_images_without_a_stated_size_come_whole(mjpeg: Server) -> None:
    with opened(mjpeg.url("unsized")) as camera:
        assert taken_ms(first_shot(camera).image)


def larger(shot: Shot) -> bool:
    return shot.image.shape[1] == 2 * WIDTH


def test_a_stream_that_changes_its_size_is_opened_again_at_the_new_one(mjpeg: Server) -> None:
    with opened(mjpeg.url("resized")) as camera, pytest.raises(CameraError, match="changed from 320x240 to 640x480"):
        first_shot(camera, fits=larger)


def test_an_rtsp_stream_that_changes_its_size_gives_whole_images_all_along() -> None:
    """OpenCV scales them to the size the stream was opened with; opened again, the camera has its new size."""
    with served("rtsp", "--resize-after", "20") as server, opened(server.url()) as camera:
        shots = [first_shot(camera) for _ in range(20)]
        assert {shot.image.shape for shot in shots} == {(HEIGHT, WIDTH, 3)}
        assert len({taken_ms(shot.image) for shot in shots}) == 20
        with opened(server.url()) as again:
            assert larger(first_shot(again))


@pytest.mark.parametrize("kind", KINDS)
def test_it_reopens_often_and_leaves_no_thread_and_no_file_open(kind: str, request: pytest.FixtureRequest) -> None:
    server: Server = request.getfixturevalue(kind)

    def held() -> tuple[int, int]:
        return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))  # noqa: PTH208 - names alone

    for _ in range(2):
        with opened(server.url()) as camera:
            camera.read(0.1)
    before = held()
    for _ in range(3):
        with opened(server.url()) as camera:
            camera.read(0.1)
    assert held() <= before
