"""A release from the cloud to the line: real daemon, real shadow, real broker and collector where it matters."""

import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from bad_graphs import inverted, taught
from brokers import eventually
from daemon_kit import daemon, line_to, status
from edge_kit import LineClient
from release_kit import Cloud, Heard, asks, release_station

from cloud_sync.wire.messages import Probation
from models.bundle import Bundle
from models.bundle_store import active_bundle

pytestmark = pytest.mark.long
WITHIN_S = 90.0


class Line:
    """Parts, one after the other; each is told, and acknowledged."""

    def __init__(self, client: LineClient) -> None:
        self.client = client
        self.told: list[str] = []
        self._numbers = count()

    def part(self) -> None:
        self.client.trigger(f"p-{next(self._numbers)}")
        said = self.client.hear()
        self.client.ack(said["part_id"])
        self.told.append(said["verdict"])

    def until(self, check: Callable[[], object]) -> None:
        """Parts, until the check says yes."""

        def ask() -> bool:
            self.part()
            return bool(check())

        eventually(ask, WITHIN_S)


@pytest.mark.parametrize(
    ("make", "disagreement_most", "why"),
    [
        pytest.param(lambda cloud: cloud.made(nan_above=132), 1, "it broke", id="nan"),
        pytest.param(lambda cloud: taught(cloud.folder, inverted), 0.05, "judged otherwise", id="wrong labels"),
        pytest.param(lambda cloud: cloud.made(blindness=1000), 1, "rejected by the model in use", id="always pass"),
    ],
)
def test_a_signed_but_bad_model_never_decides_though_the_cloud_says_live_at_once(
    tmp_path: Path, make: Callable[[Cloud], Bundle], disagreement_most: float, why: str
) -> None:
    made = release_station(tmp_path)
    cloud = Cloud(tmp_path / "cloud", made)
    job, file = cloud.release(make(cloud))
    asked = asks(job, "live", Probation(parts=20, disagreement_most=disagreement_most))
    with daemon(made) as running, line_to(made) as client, cloud.answering(running):
        client.hear_ready(ready=True)
        heard, line = Heard(running._station.handover), Line(client)  # noqa: SLF001 - as the downlink hands over
        running._station.handover.asked(asked)  # noqa: SLF001
        running._station.handover.fetched(asked, file)  # noqa: SLF001
        line.until(heard.is_at("rejected"))
        assert why in heard.last().why
        assert heard.states[-2:] == ["shadow", "rejected"]
        eventually(lambda: status(made)["release"]["state"] == "rejected")
    assert active_bundle(made.bundles, "blob").name == "v1"
    assert set(line.told) == {"PASS", "REJECT"}


def test_a_model_that_breaks_on_the_line_after_all_is_out_within_seconds(tmp_path: Path) -> None:
    """Good in shadow; then parts come that it gives NaN on."""
    made = release_station(tmp_path)
    cloud = Cloud(tmp_path / "cloud", made)
    job, file = cloud.release(cloud.made(nan_above=200))
    with daemon(made) as running, line_to(made) as client, cloud.answering(running):
        client.hear_ready(ready=True)
        heard, line = Heard(running._station.handover), Line(client)  # noqa: SLF001
        running._station.handover.asked(asks(job, "live"))  # noqa: SLF001
        running._station.handover.fetched(asks(job, "live"), file)  # noqa: SLF001
        line.until(lambda: running._station.products["blob"].engine.model_id.version == 2)  # noqa: SLF001
        for picture in (made.folder / "frames").iterdir():
            white(picture)
        line.until(heard.is_at("back"))
        assert "it broke, or gave no answer" in heard.last().why
        line.until(lambda: running._station.products["blob"].engine.model_id.version == 1)  # noqa: SLF001
        eventually(lambda: status(made)["ready"])


def test_a_station_stops_though_it_waits_for_what_is_signed(tmp_path: Path) -> None:
    """Nobody answers; a question may wait for a minute, and its thread must not outlive the station."""
    made = release_station(tmp_path)
    cloud = Cloud(tmp_path / "cloud", made)
    job, file = cloud.release(cloud.made())
    with daemon(made) as running:
        running._station.handover.asked(asks(job, "shadow"))  # noqa: SLF001 - as the downlink hands over
        running._station.handover.fetched(asks(job, "shadow"), file)  # noqa: SLF001
        eventually(lambda: running._station.metadata.is_asking)  # noqa: SLF001
    assert "release" not in {thread.name for thread in threading.enumerate()}


def white(picture: Path) -> None:
    import cv2
    import numpy as np

    cv2.imwrite(str(picture), np.full((60, 80, 3), 250, np.uint8))


def test_no_part_is_lost_or_late_while_a_release_comes_into_use_under_load(tmp_path: Path) -> None:
    made = release_station(tmp_path)
    cloud = Cloud(tmp_path / "cloud", made)
    job, file = cloud.release(cloud.made())
    with daemon(made) as running, line_to(made) as client, cloud.answering(running):
        client.hear_ready(ready=True)
        station = running._station  # noqa: SLF001
        heard, stop = Heard(station.handover), threading.Event()
        sent, told = [0], list[dict[str, object]]()

        def trigger() -> None:
            while not stop.wait(0.03):
                client.trigger(f"p-{sent[0]}")
                sent[0] += 1

        thread = threading.Thread(target=trigger)
        thread.start()
        station.handover.asked(asks(job, "live"))
        station.handover.fetched(asks(job, "live"), file)
        try:
            while not (heard.words() and heard.last().figures.get("proven")):
                assert not heard.is_at("back", "rejected")(), heard.last()
                told.append(client.hear())
                client.ack(str(told[-1]["part_id"]))
        finally:
            stop.set()
            thread.join(5)
        while len(told) < sent[0]:
            told.append(client.hear())
            client.ack(str(told[-1]["part_id"]))
        eventually(lambda: station.port.unacknowledged() == 0)
        outcomes = dict(station.tally.parts)
    assert [said["part_id"] for said in told] == [f"p-{number}" for number in range(sent[0])]
    assert {verdict for verdict, _ in outcomes} == {"PASS", "REJECT"}
    assert {outcome for _, outcome in outcomes} == {"told"}
