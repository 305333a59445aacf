"""Samples and drift of a whole station: real frames through a real model, and what `edge status` and the cloud hear."""

import json
from pathlib import Path

import numpy as np
from brokers import eventually, local_broker
from daemon_kit import daemon, line_to, status
from edge_kit import LineClient
from line_kit import Line, make_line
from station_kit import GREY, Station, good_frame, make_bundle, run_json
from triage_kit import reasons, samples, scored, write_picture
from wiretap import wiretap

from cloud_sync.wire import topics
from cloud_sync.wire.broker import available_kinds, free_port
from cloud_sync.wire.messages import DriftMessage, HealthMessage
from edge.decide.drift import LEAST_SPREAD, OverruleWatch, Reference, Sign, Watch
from edge.domain.feedback import Feedback
from edge.line.feedback import give_feedback
from edge.line.protocol import parse_address
from edge.triage.drift_file import Watched, written
from models.bundle import open_bundle
from models.bundle_store import active_bundle


def station(folder: Path, pictures: list[np.ndarray], **triage: object) -> Station:
    """A station with a broker that never answers, and these pictures."""
    made = Station(folder / "station", f"127.0.0.1:{free_port()}", settings={"triage": {"audit_share": 0, **triage}})
    made.write_config()
    make_bundle(made.bundles)
    for number, image in enumerate(pictures, 1):
        write_picture(made.folder / "frames" / f"{number:06d}.png", image)
    return made


def pass_by(line: LineClient, parts: int, prefix: str = "p") -> list[str]:
    """Parts one after the other; says their verdicts."""
    told = []
    for number in range(1, parts + 1):
        line.trigger(f"{prefix}-{number}")
        told.append(line.hear()["verdict"])
        line.ack(f"{prefix}-{number}")
    return told


def chequered() -> np.ndarray:
    """Good by its means, and like no other picture by its grain."""
    return np.where((np.indices((60, 80)).sum(0) % 2)[..., None], GREY + 30, GREY - 30).astype(np.uint8).repeat(3, 2)


def test_real_inspections_become_samples_each_for_its_reason_and_status_says_how_many(tmp_path: Path) -> None:
    pictures = [*(good_frame(seed=seed) for seed in range(70)), scored(0.48), scored(0.42), scored(0.64), chequered()]
    made = station(tmp_path, pictures)
    with daemon(made) as running, line_to(made) as line:
        told = pass_by(line, len(pictures))
        assert told[70:] == ["PASS", "PASS", "REJECT", "PASS"]
        give_feedback(parse_address(f"tcp://127.0.0.1:{made.port}"), Feedback("p-3", is_right=False, by="kim"))
        assert running._station.shadow.on_pair == running._station.triage.paired  # noqa: SLF001 - so it is wired
        wanted = {"p-3", "p-71", "p-72", "p-74"}
        eventually(lambda: wanted <= {sample["part_id"] for sample in samples(made.database)})
    found = {sample["part_id"]: sample["reasons"] for sample in samples(made.database)}
    assert found["p-71"][:1] == ["uncertain"]
    assert "candidate" in found["p-71"]
    assert "candidate" in found["p-72"]
    assert "uncertain" not in found["p-72"]
    assert found["p-74"] == ["novel"]
    assert found["p-3"] == ["overruled"]
    assert len(found) <= 7  # by chance an ordinary picture may be among the least usual
    said = status(made)["triage"]
    assert said["kept"]["overruled"] == 1
    assert said["kept"]["candidate"] == 2
    assert (said["faults"], said["skipped"]) == (0, 0)
    code, asked = run_json(["edge", "status", "-c", str(made.config), "--json"])
    assert code == 1
    assert asked["triage"]["kept"] == said["kept"]
    assert asked["database"]["samples"] == {name: count for name, count in said["kept"].items() if count}


def test_the_audit_takes_good_parts_and_the_budget_says_what_it_refused(tmp_path: Path) -> None:
    made = station(tmp_path, [good_frame()], audit_share=1, per_hour=10, novel_share=0)
    with daemon(made), line_to(made) as line:
        pass_by(line, 12)
        eventually(lambda: status(made)["triage"]["refused"]["audit"] > 0 and sum(map(len, reasons(made.database))) > 0)
        eventually(lambda: sum(status(made)["triage"][name]["audit"] for name in ("kept", "refused")) == 12)
    kept = status(made)["triage"]["kept"]["audit"]
    assert reasons(made.database) == [["audit"]] * kept
    assert 1 <= kept <= 10


def test_without_a_cloud_there_are_no_samples_but_what_a_person_overruled(tmp_path: Path) -> None:
    made = Station(tmp_path / "station", settings={"triage": {"audit_share": 1}})
    made.write_config()
    make_bundle(made.bundles)
    write_picture(made.folder / "frames" / "1.png", scored(0.48))
    with daemon(made), line_to(made) as line:
        pass_by(line, 3)
        run_json(["edge", "feedback", "p-2", "-c", str(made.config), "--json", "--by", "kim", "--wrong"])
    assert [(sample["part_id"], sample["reasons"]) for sample in samples(made.database)] == [("p-2", ["overruled"])]


def learned(line: Line, brightness: float) -> None:
    """The station has learned long ago that its pictures are so bright."""
    bundle = open_bundle(active_bundle(line.station.bundles, "blob"))
    watch = Watch(LEAST_SPREAD[Sign.BRIGHTNESS], Reference(brightness, 2.0, 0.0, 0.25), parts=400)
    products = {"blob": Watched(bundle.model_id.sha256, {("top", Sign.BRIGHTNESS): watch}, OverruleWatch())}
    (line.station.folder / "data" / "drift.json").write_text(written(products, {}))


def test_a_drift_is_an_alarm_here_and_in_the_cloud_and_survives_a_restart(tmp_path: Path) -> None:
    broker = local_broker(available_kinds()[0], tmp_path)
    line = make_line(tmp_path, broker, bad_every=0)
    learned(line, GREY - 10.0)
    drift, health = topics.drift("test-1"), topics.health("test-1")

    def said(last: list[bytes]) -> bool:
        return bool(last) and any(sign.alarm for sign in DriftMessage.unpack(last[-1]).signs)

    with broker, wiretap(broker.address, "inspectd/v1/#") as heard:
        with line.daemon():
            line.run_parts(100, "--in-flight", "4")
            eventually(lambda: said([message.payload for message in heard if message.topic == drift]))
            eventually(lambda: status(line.station)["ready"] and "drift" in status(line.station)["alarms"])
            words = [HealthMessage.unpack(message.payload) for message in heard if message.topic == health]
            eventually(
                lambda: any("drift" in HealthMessage.unpack(m.payload).alarms for m in heard if m.topic == health)
            )
            assert "drift" not in words[0].alarms
        first = [DriftMessage.unpack(message.payload) for message in heard if message.topic == drift]
        (alarm,) = [sign for sign in first[-1].signs if sign.alarm]
        assert (alarm.product, alarm.camera, alarm.sign) == ("blob", "top", "brightness")
        assert alarm.statistic > alarm.limit
        assert alarm.since is not None
        with line.daemon():
            eventually(lambda: len([m for m in heard if m.topic == drift]) > len(first))
            eventually(lambda: "drift" in status(line.station)["alarms"])
    kept = json.loads((line.station.folder / "data" / "drift.json").read_text())
    assert kept["since"][0][2] == "brightness"
