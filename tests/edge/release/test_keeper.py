"""A release on its way through a station: what the keeper does on disk, what it says, and what it leaves alone."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from brokers import eventually
from keeper_kit import GOOD, active, adopted, keeping
from release_kit import Cloud, ListedShadow, asks, release_station
from station_kit import Station, make_bundle, ungated_int8

from cloud_sync.wire.messages import Job
from edge.config import load_config
from edge.release.course import Phase
from edge.release.doing import before_start
from edge.release.gates import Beside
from edge.release.kept import course_path
from models.bundle import open_bundle
from models.bundle_store import activate, list_bundles


@pytest.fixture
def made(tmp_path: Path) -> Station:
    return release_station(tmp_path)


@pytest.fixture
def cloud(tmp_path: Path, made: Station) -> Cloud:
    return Cloud(tmp_path / "cloud", made)


def test_a_good_release_is_told_to_decide_at_once_and_yet_looks_first(made: Station, cloud: Cloud) -> None:
    job, file = cloud.release(cloud.made())
    with keeping(made, cloud) as kept:
        kept.offer(asks(job, "live"), file)
        eventually(kept.heard.is_at("shadow"), 60)
        eventually(lambda: list(kept.shadow.looking) == ["blob"])
        assert (kept.heard.states, active(made)) == (["verified", "selftest", "shadow"], 1)
        kept.shadow.counts = GOOD
        eventually(kept.heard.is_at("live"))
        assert active(made) == 2
        eventually(kept.runs(2))
        eventually(kept.on_probation)
        kept.decides(parts=20, rejects=7)
        eventually(lambda: kept.heard.last().figures.get("proven") == 1.0)
        assert kept.shadow.looking == {}
    [_, taken] = list_bundles(made.bundles)
    assert (taken.version, taken.active, taken.previous) == (2, True, False)


def test_a_release_that_shall_only_look_never_decides(made: Station, cloud: Cloud) -> None:
    job, file, _ = adopted(made, cloud)
    with keeping(made, cloud) as kept:
        kept.offer(asks(job, "shadow"), file)
        kept.shadow.counts = GOOD
        eventually(lambda: kept.heard.words() and kept.heard.last().figures.get("parts") == 30)
        assert (kept.heard.states, active(made)) == (["shadow"], 1)
        kept.offer(asks(job, "live"), file)
        eventually(kept.heard.is_at("live"))


@pytest.mark.parametrize(
    ("counts", "why"),
    [
        pytest.param(Beside(parts=1, faults=1), "it broke, 1 times", id="nan"),
        pytest.param(
            Beside(parts=20, disagreements=20, rejects=15, champion_rejects=5, passes_of_rejects=5),
            "judged otherwise",
            id="wrong labels",
        ),
        pytest.param(
            Beside(parts=100, disagreements=6, champion_rejects=6, passes_of_rejects=6),
            "rejected by the model in use are passed",
            id="always pass",
        ),
    ],
)
def test_a_signed_but_bad_model_never_gets_past_shadow(made: Station, cloud: Cloud, counts: Beside, why: str) -> None:
    job, file, _ = adopted(made, cloud)
    with keeping(made, cloud) as kept:
        kept.offer(asks(job, "live"), file)
        eventually(kept.heard.is_at("shadow"))
        kept.shadow.counts = counts
        eventually(kept.heard.is_at("rejected"))
        assert why in kept.heard.last().why
        assert (kept.heard.states, active(made), kept.shadow.looking) == (["shadow", "rejected"], 1, {})


@pytest.mark.long
def test_a_shadow_that_cannot_look_any_more_is_rejected(made: Station, cloud: Cloud) -> None:
    job, file, _ = adopted(made, cloud)
    with keeping(made, cloud) as kept:
        kept.shadow.why = "its process ended three times"
        kept.offer(asks(job, "shadow"), file)
        eventually(kept.heard.is_at("rejected"))
        assert kept.heard.last().why == "in shadow: its process ended three times"


@pytest.mark.parametrize(
    ("counts", "why"),
    [
        pytest.param({"parts": 1, "undecided": 1, "faults": 1}, "gave no answer, on 1 of 1 parts", id="model fault"),
        pytest.param({"parts": 9, "undecided": 1}, "left undecided", id="undecided", marks=pytest.mark.long),
        pytest.param(
            {"parts": 20, "rejects": 20}, "in shadow it was 33.3%", id="rejects everything", marks=pytest.mark.long
        ),
        pytest.param({"parts": 20, "rejects": 0}, "in shadow it was 33.3%", id="passes everything"),
    ],
)
def test_one_that_fails_on_probation_goes_back_at_once(
    made: Station, cloud: Cloud, counts: dict[str, int], why: str
) -> None:
    job, file, bundle = adopted(made, cloud, Phase.LIVE, beside={"blob": GOOD})
    activate(made.bundles, "blob", bundle.model_id.version)
    with keeping(made, cloud) as kept:
        kept.offer(asks(job, "live"), file)
        eventually(kept.on_probation)
        kept.decides(**counts)
        eventually(kept.heard.is_at("back"))
        assert why in kept.heard.last().why
        assert active(made) == 1
        eventually(kept.runs(1))
        kept.offer(asks(job, "live"), file)  # the broker keeps saying so
    assert active(made) == 1


def test_the_cloud_takes_a_release_back_also_after_its_probation(made: Station, cloud: Cloud) -> None:
    job, file, _ = adopted(made, cloud, Phase.LIVE, proven=True)
    activate(made.bundles, "blob", 2)
    with keeping(made, cloud) as kept:
        kept.offer(asks(job, "back"), file)
        eventually(kept.heard.is_at("back"))
    assert active(made) == 1


def test_a_release_is_taken_back_also_after_another_offer_came(made: Station, cloud: Cloud) -> None:
    job, file, _ = adopted(made, cloud, Phase.LIVE, proven=True)
    activate(made.bundles, "blob", 2)
    other = job.model_copy(update={"job": "another", "name": "cap-v1.bundle", "stage": "shadow"})
    with keeping(made, cloud) as kept:
        kept.station.handover.asked(other)
        eventually(lambda: kept.heard.words() and kept.heard.last().job == "another")
        kept.offer(asks(job, "back"), file)
        eventually(kept.heard.is_at("back"))
    assert active(made) == 1


def test_what_is_signed_is_asked_once_more_before_a_release_decides(made: Station, cloud: Cloud) -> None:
    job, file = cloud.release(cloud.made())
    with keeping(made, cloud) as kept:
        kept.offer(asks(job, "shadow"), file)
        eventually(kept.heard.is_at("shadow"), 60)
        files, cloud.repository.files = cloud.repository.files, {}
        kept.shadow.counts = GOOD
        kept.offer(asks(job, "live"), file)
        eventually(lambda: kept.heard.is_at("live")() or "waits for what is signed" in kept.heard.last().why)
        assert (kept.heard.last().state, active(made)) == ("shadow", 1)
        cloud.repository.files = files
        eventually(kept.heard.is_at("live"))


def test_a_release_on_probation_is_watched_on_also_after_another_offer_came(made: Station, cloud: Cloud) -> None:
    job, file, _ = adopted(made, cloud, Phase.LIVE, beside={"blob": GOOD})
    activate(made.bundles, "blob", 2)
    other = job.model_copy(update={"job": "another", "name": "cap-v1.bundle", "stage": "shadow"})
    with keeping(made, cloud) as kept:
        kept.offer(asks(job, "live"), file)
        eventually(kept.on_probation)
        kept.station.handover.asked(other)
        kept.decides(parts=1, undecided=1, faults=1)
        eventually(lambda: active(made) == 1)
        eventually(lambda: kept.heard.last().job == "another")


def test_a_release_that_decided_already_when_it_was_offered_again_goes_back_to_the_one_before_it(
    made: Station, cloud: Cloud
) -> None:
    job, file, _ = adopted(made, cloud, Phase.LIVE, proven=True)
    activate(made.bundles, "blob", 2)
    again = job.model_copy(update={"job": "again"})
    with keeping(made, cloud) as kept:
        kept.offer(asks(again, "live"), file)
        eventually(lambda: kept.heard.is_at("live")() and kept.heard.last().job == "again", 60)
        kept.offer(asks(again, "back"), file)
        eventually(kept.heard.is_at("back"))
        assert active(made) == 1


def test_nothing_is_said_to_be_back_that_decides_on(made: Station, cloud: Cloud) -> None:
    job, file, _ = adopted(made, cloud, Phase.LIVE, proven=True)
    activate(made.bundles, "blob", 2)
    course_path(load_config(made.config)).unlink()
    with keeping(made, cloud) as kept:
        kept.offer(asks(job, "live"), file)
        eventually(kept.heard.is_at("live"), 60)
        kept.offer(asks(job, "back"), file)
        eventually(lambda: "release" in kept.station.health.alarms())
        assert (kept.heard.last().state, active(made)) == ("live", 2)
        assert "is not known" in kept.heard.last().why


class StuckShadow(ListedShadow):
    """Its end fails."""

    def end(self, product_id: str) -> None:
        raise RuntimeError(f"no end of {product_id}")


def test_what_goes_wrong_once_the_link_was_moved_sends_the_release_back(made: Station, cloud: Cloud) -> None:
    job, file, _ = adopted(made, cloud, Phase.GOING_LIVE, beside={"blob": GOOD})
    with keeping(made, cloud, StuckShadow()) as kept:
        kept.offer(asks(job, "live"), file)
        eventually(kept.heard.is_at("back", "rejected"))
        assert (kept.heard.last().state, active(made)) == ("back", 1)


@pytest.mark.parametrize(
    ("phase", "state"),
    [pytest.param(Phase.SHADOW, "rejected", id="while it looks"), pytest.param(Phase.LIVE, "back", id="on probation")],
)
def test_a_persons_own_bundle_is_left_alone(made: Station, cloud: Cloud, phase: Phase, state: str) -> None:
    job, file, _ = adopted(made, cloud, phase, beside={"blob": GOOD})
    if phase is Phase.LIVE:
        activate(made.bundles, "blob", 2)
    with keeping(made, cloud) as kept:
        kept.offer(asks(job, "shadow"), file)
        eventually(kept.heard.is_at(phase.value))
        make_bundle(made.bundles, "blob", 3)
        eventually(kept.heard.is_at(state))
        assert "v3 is active by a person's word" in kept.heard.last().why
        kept.decides(parts=1, faults=1)
        kept.offer(asks(job, "back"), file)
        eventually(kept.runs(3))
    assert active(made) == 3


def test_a_withdrawn_offer_ends_its_shadow(made: Station, cloud: Cloud) -> None:
    job, file, _ = adopted(made, cloud)
    with keeping(made, cloud) as kept:
        kept.offer(asks(job, "shadow"), file)
        eventually(lambda: bool(kept.shadow.looking))
        kept.station.handover.asked(None)
        eventually(lambda: not kept.shadow.looking)
        eventually(kept.heard.is_at("verified"))


def test_a_restart_goes_on_with_what_was_counted_before_the_cloud_was_heard(made: Station, cloud: Cloud) -> None:
    adopted(made, cloud, beside={"blob": replace(GOOD, parts=12)})
    with keeping(made, cloud) as kept:
        kept.shadow.counts = Beside(parts=3)
        eventually(lambda: kept.heard.words() and kept.heard.last().figures.get("parts") == 15)
        assert list(kept.shadow.looking) == ["blob"]
        kept.shadow.counts = Beside(parts=30)
        eventually(kept.heard.is_at("live"))


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        pytest.param(lambda made, _: (made.folder / "data/identity/root.json").unlink(), "no trust root", id="no root"),
        pytest.param(lambda _, job: job.model_copy(update={"sha256": "b" * 64}), "other bytes", id="exchanged"),
        pytest.param(
            lambda _, job: job.model_copy(update={"name": "blob-v8.bundle"}), "no release that anybody", id="unsigned"
        ),
    ],
)
def test_what_nobody_signed_for_us_is_rejected(
    made: Station, cloud: Cloud, spoil: Callable[[Station, Job], Job | None], why: str
) -> None:
    job, file = cloud.release(cloud.made())
    offer = spoil(made, job) or job
    with keeping(made, cloud) as kept:
        kept.offer(asks(offer, "live"), file)
        eventually(kept.heard.is_at("rejected"))
        assert why in kept.heard.last().why
    assert [one.version for one in list_bundles(made.bundles)] == [1]


def test_a_bundle_for_another_station_is_rejected(made: Station, cloud: Cloud) -> None:
    job, file = cloud.release(cloud.made(), stations=("another",))
    with keeping(made, cloud) as kept:
        kept.offer(asks(job, "shadow"), file)
        eventually(kept.heard.is_at("rejected"))
        assert "is for another" in kept.heard.last().why


def test_an_altered_file_is_rejected_before_it_is_opened(made: Station, cloud: Cloud) -> None:
    job, file = cloud.release(cloud.made())
    altered = bytearray(file.read_bytes())
    altered[len(altered) // 2] ^= 1
    file.write_bytes(altered)
    with keeping(made, cloud) as kept:
        kept.offer(asks(job, "shadow"), file)
        eventually(kept.heard.is_at("rejected"))
        assert "not those that were signed" in kept.heard.last().why


def test_an_int8_bundle_that_no_gate_let_is_rejected(made: Station, cloud: Cloud, tmp_path: Path) -> None:
    make_bundle(tmp_path / "int8")

    job, file = cloud.release(open_bundle(ungated_int8(tmp_path / "int8", "blob", 2, "failed")))
    with keeping(made, cloud) as kept:
        kept.offer(asks(job, "shadow"), file)
        eventually(kept.heard.is_at("rejected"))
        assert "the gate" in kept.heard.last().why


@pytest.mark.long
def test_without_the_cloud_a_release_waits_and_says_for_what(made: Station, cloud: Cloud) -> None:
    job, file = cloud.release(cloud.made())
    files, cloud.repository.files = cloud.repository.files, {}
    with keeping(made, cloud) as kept:
        kept.offer(asks(job, "shadow"), file)
        eventually(lambda: kept.heard.words() and "waits for what is signed" in kept.heard.last().why)
        assert kept.heard.states == ["verified"]
        cloud.repository.files = files
        eventually(kept.heard.is_at("shadow"), 60)


def test_a_station_that_comes_to_no_orderly_end_since_goes_back_before_it_starts(made: Station, cloud: Cloud) -> None:
    adopted(made, cloud, Phase.LIVE, beside={"blob": GOOD})
    activate(made.bundles, "blob", 2)
    config = load_config(made.config)
    for _ in range(3):
        before_start(config)
        assert active(made) == 2
    before_start(config)
    assert active(made) == 1
    with keeping(made, cloud) as kept:
        eventually(kept.heard.is_at("back"))
        assert "came to no orderly end" in kept.heard.last().why


@pytest.mark.long
def test_where_the_bundle_before_it_is_damaged_a_person_is_called_and_the_line_goes_on(
    made: Station, cloud: Cloud
) -> None:
    job, file, _ = adopted(made, cloud, Phase.LIVE, beside={"blob": GOOD})
    activate(made.bundles, "blob", 2)
    with keeping(made, cloud) as kept:
        kept.offer(asks(job, "live"), file)
        eventually(kept.on_probation)
        weights = made.bundles / "blob" / "v1" / "model.bin"
        whole = weights.read_bytes()
        weights.write_bytes(bytes(len(whole)))
        kept.decides(parts=1, undecided=1, faults=1)
        eventually(lambda: "release" in kept.station.health.alarms())
        assert (active(made), kept.heard.last().state) == (2, "live")
        assert "cannot be looked after" in kept.heard.last().why
        weights.write_bytes(whole)
        eventually(kept.heard.is_at("back"))
        assert (active(made), kept.station.health.alarms()) == (1, {})


@pytest.mark.long
def test_a_release_that_decides_here_already_is_not_taken_twice(made: Station, cloud: Cloud) -> None:
    job, file, _ = adopted(made, cloud, Phase.LIVE, proven=True)
    activate(made.bundles, "blob", 2)
    with keeping(made, cloud) as kept:
        kept.offer(asks(job.model_copy(update={"job": "again"}), "live"), file)
        eventually(lambda: kept.heard.is_at("live")() and kept.heard.last().job == "again", 60)
    assert [one.version for one in list_bundles(made.bundles)] == [1, 2]


@pytest.mark.long
def test_orderly_ends_are_not_held_against_it(made: Station, cloud: Cloud) -> None:
    adopted(made, cloud, Phase.LIVE, beside={"blob": GOOD})
    activate(made.bundles, "blob", 2)
    for _ in range(4):
        before_start(load_config(made.config))
        with keeping(made, cloud) as kept:
            eventually(kept.heard.is_at("live"))
    assert active(made) == 2


def test_where_it_stood_cannot_be_read_the_station_starts_all_the_same(made: Station, cloud: Cloud) -> None:
    adopted(made, cloud)
    course_path(load_config(made.config)).write_text("{half")
    before_start(load_config(made.config))
    with keeping(made, cloud) as kept:
        assert kept.keeper.standing() is None
