"""What a keeper holds an offer to, what it drops for another word of the cloud, and what it tidies up after."""

import os
from pathlib import Path

import pytest
from bad_graphs import hanging, with_graph
from brokers import eventually
from keeper_kit import GOOD, active, adopted, keeping
from release_kit import OPEN, Cloud, asks, release_station
from station_kit import Station

from cloud_sync.wire.messages import Probation
from edge.release.course import Phase
from edge.release.gates import Beside
from models.bundle import open_bundle
from models.bundle_store import activate, copy_next, list_bundles

OPEN_DOORS = Probation(parts=1, disagreement_most=1, undecided_most=1, reject_shift_most=1, escape_most=1)


@pytest.fixture
def made(tmp_path: Path) -> Station:
    return release_station(tmp_path)


@pytest.fixture
def cloud(tmp_path: Path, made: Station) -> Cloud:
    return Cloud(tmp_path / "cloud", made)


def test_an_offer_whose_limits_hold_nothing_back_is_held_to_the_stations_own(tmp_path: Path) -> None:
    """Whoever owns the broker writes the offer; the release is signed, and bad."""
    made = release_station(tmp_path, floors={"shadow_parts": 20, "disagreement_most": 0.2})
    job, file, _ = adopted(made, cloud := Cloud(tmp_path / "cloud", made))
    with keeping(made, cloud) as kept:
        kept.shadow.counts = Beside(parts=19, disagreements=3, rejects=9, champion_rejects=6)
        kept.offer(asks(job, "live", OPEN_DOORS), file)
        eventually(lambda: kept.heard.words() and "until 20 parts" in kept.heard.last().why)
        kept.shadow.counts = Beside(parts=20, disagreements=5, rejects=11, champion_rejects=6)
        eventually(kept.heard.is_at("rejected"))
        assert "judged otherwise" in kept.heard.last().why
    assert active(made) == 1


def test_on_probation_too_the_stations_own_limits_send_it_back(tmp_path: Path) -> None:
    made = release_station(tmp_path, floors={"shadow_parts": 1, "live_parts": 20, "reject_shift_most": 0.1})
    job, file, _ = adopted(made, cloud := Cloud(tmp_path / "cloud", made))
    with keeping(made, cloud) as kept:
        kept.shadow.counts = GOOD
        kept.offer(asks(job, "live", OPEN_DOORS), file)
        eventually(kept.runs(2))
        eventually(kept.on_probation)
        kept.decides(parts=12, rejects=12)
        eventually(kept.heard.is_at("back"))
    assert active(made) == 1


def test_to_go_back_never_waits_for_the_trial_of_another_offer(made: Station, cloud: Cloud) -> None:
    """A trial may take half an hour; the line must be rid of a bad model within seconds."""
    job, file, _ = adopted(made, cloud, Phase.LIVE, proven=True)
    activate(made.bundles, "blob", 2)
    other, endless = cloud.release(with_graph(cloud.folder, hanging, 8), job="another")
    with keeping(made, cloud) as kept:
        kept.offer(asks(other, "shadow"), endless)
        eventually(kept.heard.is_at("selftest"))
        kept.offer(asks(job, "back"), file)
        eventually(kept.heard.is_at("back"))
        assert (kept.heard.last().job, active(made)) == (job.job, 1)


def test_an_offer_that_is_withdrawn_during_its_trial_is_tried_no_further(made: Station, cloud: Cloud) -> None:
    job, file = cloud.release(with_graph(cloud.folder, hanging))
    with keeping(made, cloud) as kept:
        kept.offer(asks(job, "shadow"), file)
        eventually(kept.heard.is_at("selftest"))
        kept.station.handover.asked(asks(job, "back"))
        eventually(kept.heard.is_at("back"))
    assert active(made) == 1


def versions(made: Station) -> list[int]:
    return [one.version for one in list_bundles(made.bundles)]


@pytest.mark.parametrize(("more", "left"), [(0, [1, 7, 8]), (2, [1, 6, 7, 8])])
def test_once_a_release_is_settled_old_versions_go_and_those_in_use_and_before_stay(
    tmp_path: Path, more: int, left: list[int]
) -> None:
    """v1 decided before v7, which the cloud may still want back."""
    made = release_station(tmp_path, floors={**OPEN, "keep_versions": more})
    cloud = Cloud(tmp_path / "cloud", made)
    first = open_bundle(made.bundles / "blob" / "v1")
    for _ in range(5):
        copy_next(made.bundles, "blob", first, first.manifest.created_at)
    job, file, bundle = adopted(made, cloud, Phase.LIVE, beside={"blob": GOOD})
    activate(made.bundles, "blob", bundle.model_id.version)
    copy_next(made.bundles, "blob", first, first.manifest.created_at)  # the highest number is never given twice
    with keeping(made, cloud) as kept:
        kept.offer(asks(job, "live"), file)
        eventually(kept.on_probation)
        kept.decides(parts=20, rejects=7)
        eventually(lambda: versions(made) == left)
        kept.offer(asks(job, "back"), file)
        eventually(kept.heard.is_at("back"))
    assert active(made) == 1


def test_a_release_that_is_settled_leaves_only_the_newest_files_of_others(tmp_path: Path) -> None:
    made = release_station(tmp_path, floors={"keep_versions": 1})
    job, file, _ = adopted(made, cloud := Cloud(tmp_path / "cloud", made), Phase.LIVE, proven=True)
    activate(made.bundles, "blob", 2)
    for age, name in enumerate(("blob-v6.bundle", "blob-v5.bundle", "blob-v4.bundle")):
        (file.parent / name).write_bytes(b"old")
        os.utime(file.parent / name, (1_000_000 - age, 1_000_000 - age))
    with keeping(made, cloud) as kept:
        kept.offer(asks(job, "back"), file)
        eventually(lambda: {path.name for path in file.parent.glob("*.bundle")} == {file.name, "blob-v6.bundle"})
