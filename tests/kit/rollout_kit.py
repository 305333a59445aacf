"""Stations that speak of releases over a real broker, and a store with a release that waits for them.

A station here has no model: it says what a station says, in the real words, and counts parts as it is told to.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from brokers import eventually
from clouds import CloudThread

from cloud_sync.hub.collecting import desks
from cloud_sync.hub.collector import collector_link
from cloud_sync.hub.files.blobs import FolderBlobs
from cloud_sync.hub.files.release_desk import ReleaseDesk
from cloud_sync.hub.files.releases import offer
from cloud_sync.hub.rollout.plan import RolloutPlan
from cloud_sync.hub.store.engine import open_engine
from cloud_sync.station.connection import station_link
from cloud_sync.wire import topics
from cloud_sync.wire.broker import LocalBroker
from cloud_sync.wire.endpoint import Endpoint
from cloud_sync.wire.link import Address, Limits, Message
from cloud_sync.wire.messages import Job, JobState, StateMessage
from cloud_sync.wire.mqtt import MqttLink
from cloud_sync.wire.mqtt_settings import MqttSettings

RELEASE = "cells-v2.bundle"
GOOD = {"parts": 60.0, "rejects": 6.0, "champion_rejects": 6.0, "disagreements": 1.0}
PLAN = RolloutPlan(shadow_parts=50, live_parts=40, min_minutes=0, patience_minutes=30)
WORKER = Path(__file__).with_name("rollout_worker.py")


@dataclass
class FakeStation:
    """One station: `figures` is what it counts in each state; `refuses` is a state that it turns into another."""

    name: str
    address: Address
    figures: dict[str, dict[str, float]] = field(default_factory=lambda: {"shadow": GOOD, "live": GOOD})
    refuses: dict[str, str] = field(default_factory=dict)
    state: str = ""
    course: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._heard: deque[bytes] = deque()
        self._unsaid: deque[tuple[str, bytes, bool]] = deque()
        self._job: Job | None = None
        self._link: MqttLink | None = None

    def connect(self) -> None:
        self._link = station_link(self.name, self.address)
        self._link.start(self)

    def disconnect(self, *, cleanly: bool = True) -> None:
        link, self._link = self._link, None
        if link is not None:
            if cleanly:
                offline = StateMessage(state="offline").pack()
                eventually(lambda: link.publish(topics.state(self.name), offline, retain=True))
            link.stop(5)
        self._heard.clear()
        self._unsaid.clear()

    @property
    def online(self) -> bool:
        return self._link is not None

    def on_connected(self, _limits: Limits) -> None:
        self._unsaid.append((topics.state(self.name), StateMessage(state="online").pack(), True))
        if self._job is not None and self.state:
            self._unsaid.append(self._word(self._job, self.state))

    def on_disconnected(self, _why: str) -> None:
        pass

    def on_message(self, message: Message) -> None:
        if message.topic == topics.job(self.name):
            self._heard.append(message.payload)
        if self._link is not None:
            self._link.acknowledge(message)

    def on_answer(self, refusal: str | None) -> None:
        pass

    def work(self) -> None:
        """Do what was heard, say what is to be said."""
        while self._heard:
            payload = self._heard.popleft()
            if payload:
                self._take(Job.unpack(payload))
        while (
            self._link is not None
            and self._unsaid
            and self._link.publish(*self._unsaid[0][:2], retain=self._unsaid[0][2])
        ):
            self._unsaid.popleft()

    def say(self, state: str, why: str = "") -> None:
        """What becomes of its release, by itself."""
        assert self._job is not None
        self.state = state
        self.course.append(state)
        self._unsaid.append(self._word(self._job, state, why))

    def say_again(self) -> None:
        """Its last word, with its figures, as a station does every few seconds."""
        if self._job is not None and self.state and not self._unsaid:
            self._unsaid.append(self._word(self._job, self.state))

    def _take(self, job: Job) -> None:
        if self._job is None or not self._job.is_same(job):
            self._job, self.state = job, ""
        self._job = job
        if self.state in {"back", "rejected"}:
            return
        for state in _way(self.state, job.stage):
            self.say(self.refuses.get(state, state), "the test says so" if state in self.refuses else "")
            if state in self.refuses:
                return

    def _word(self, job: Job, state: str, why: str = "") -> tuple[str, bytes, bool]:
        said = {
            "job": job.job,
            "state": state,
            "why": why,
            "at": datetime.now(UTC),
            "figures": self.figures.get(state, {}),
        }
        return topics.job_state(self.name, job.job), JobState.model_validate(said).pack(), False


def _way(state: str, asked: str) -> list[str]:
    if asked == "back":
        return ["back"]
    way = ["offered", "downloading", "verified", "selftest", "shadow"] + (["live"] if asked == "live" else [])
    return way[way.index(state) + 1 :] if state in way else [] if state else way


class Fleet:
    """A broker, a real collector, a store with a release, and stations; a context manager."""

    def __init__(self, folder: Path, broker: LocalBroker, count: int, place: str | None = None) -> None:
        self.place = place or str(folder / "cloud.db")
        self.broker = broker
        self.folder = folder
        self.stations = [FakeStation(f"press-{index:02}", broker.address) for index in range(count)]
        self._open = ExitStack()

    def __enter__(self) -> Self:
        open_engine(self.place, create=True).dispose()
        blobs = FolderBlobs(self.folder / "blobs")
        self.release()
        self.broker.start()
        link = collector_link(Endpoint(self.broker.address, None), "")
        releases = self._open.enter_context(ReleaseDesk(self.place, blobs))
        self._open.enter_context(CloudThread(self.place, link, desks=[*desks(), releases]))
        for station in self.stations:
            station.connect()
            self._open.callback(station.disconnect, cleanly=False)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def release(self, name: str = RELEASE) -> str:
        """One more release in the store."""
        source = self.folder / "made" / name
        source.parent.mkdir(exist_ok=True)
        source.write_bytes(name.encode() * 100)
        offer(self.place, FolderBlobs(self.folder / "blobs"), source, [])
        return name

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(station.name for station in self.stations)

    def link(self) -> MqttLink:
        """A worker's, started; stopped with the fleet."""
        link = MqttLink(MqttSettings(self.broker.address, f"worker-{time.monotonic_ns()}"))
        link.start(_Silent())
        self._open.callback(link.stop, 5)
        return link

    def until(
        self, done: Callable[[], object], step: Callable[[], object] = lambda: None, within_s: float = 60
    ) -> None:
        """Let the stations work, and the step, until it is done."""

        def round_() -> object:
            for station in self.stations:
                station.work()
            step()
            return done()

        eventually(round_, within_s)

    def live(self) -> list[str]:
        return [station.name for station in self.stations if station.state == "live"]


class _Silent:
    def on_connected(self, limits: Limits) -> None:
        pass

    def on_disconnected(self, why: str) -> None:
        pass

    def on_message(self, message: Message) -> None:
        pass

    def on_answer(self, refusal: str | None) -> None:
        pass


class WorkerProcess:
    """A process that does nothing but step a runner."""

    def __init__(self, place: str, broker: Address) -> None:
        command = [sys.executable, str(WORKER), place, str(broker)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ})

    def await_step(self) -> None:
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "step\n"

    def kill(self) -> None:
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()


def told(rows: Sequence[object]) -> list[tuple[str, str]]:
    """Decisions as (stage, what)."""
    return [(row.stage, row.what) for row in rows]  # type: ignore[attr-defined]


def json_lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]
