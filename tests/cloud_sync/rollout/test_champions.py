"""The cloud knows which bundle is in use: the release that is live, else what a station's kit says."""

import hashlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
import sqlalchemy as sa
from rollout_kit import RELEASE
from station_kit import make_bundle

from cloud_sync.hub.champions import UnnamedChampionError, champion_of
from cloud_sync.hub.files.blobs import FolderBlobs
from cloud_sync.hub.files.releases import offer
from cloud_sync.hub.rollout.plan import RolloutPlan
from cloud_sync.hub.rollout.starting import start_rollout, stop_rollout
from cloud_sync.hub.store.engine import open_engine
from cloud_sync.hub.store.errors import StoreError
from cloud_sync.hub.store.file_tables import files, jobs, releases
from cloud_sync.hub.store.rollout_tables import rollouts
from cloud_sync.hub.store.tables import conditions
from cloud_sync.wire.kit import KitError, KitFile, KitManifest
from cloud_sync.wire.messages import HealthMessage
from models.archive import pack
from models.bundle import Bundle
from models.errors import ModelError

CONFIG = b"[station]\nid = 'press-1'\n[[product]]\nid = 'cell'\nbundle = 'cells'\n"


class Store:
    """A store and its blobs."""

    def __init__(self, folder: Path) -> None:
        self.place = str(folder / "cloud.db")
        self.engine = open_engine(self.place, create=True)
        self.blobs = FolderBlobs(folder / "blobs")

    def put(self, content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        self.blobs.put(digest, BytesIO(content))
        return digest

    def kit(self, station: str, bundle: Bundle, config: bytes = CONFIG) -> None:
        """As a station's uploads and its health leave it."""
        held = {"station.toml": config}
        names = ["bundle.json", *bundle.manifest.files]
        held |= {f"data/bundles/cells/v1/{name}": (bundle.path / name).read_bytes() for name in names}
        entries = {name: KitFile(sha256=self.put(one), size_bytes=len(one)) for name, one in held.items()}
        manifest = KitManifest(station=station, files=entries, links={"data/bundles/cells/active": "v1"}).pack()
        rows = {one.sha256: one.size_bytes for one in entries.values()} | {self.put(manifest): len(manifest)}
        blank = {"station": station, "media_type": "x", "epoch": "0" * 32, "seq": 1, "camera": "", "changed_at_ms": 1}
        counts = dict.fromkeys(("dead_letters", "losses", "uploads", "spool_bytes", "disk_free_bytes"), 0)
        word = {
            "at": "2026-07-01T12:00:00Z",
            "epoch": "0" * 32,
            "ready": True,
            "faults": {},
            "alarms": {},
            "outbox": {},
        }
        health = HealthMessage.model_validate(word | counts | {"kit": hashlib.sha256(manifest).hexdigest()}).pack()
        with self.engine.begin() as connection:
            for sha256, size in rows.items():
                row = {"sha256": sha256, "size_bytes": size, "state": "complete"}
                connection.execute(sa.insert(files).values(**blank, **row))
            said = {"station": station, "health": health.decode(), "health_at_ms": 1, "resets": 0}
            connection.execute(sa.insert(conditions).values(**said))

    def live(self, state: str = "live") -> None:
        with self.engine.begin() as connection:
            connection.execute(sa.update(jobs).values(state=state))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path)
    yield made
    made.engine.dispose()


def released(store: Store, tmp_path: Path) -> Bundle:
    bundle = make_bundle(tmp_path / "made", "cells", 2, blindness=2)
    pack(bundle, tmp_path / "made" / RELEASE)
    offer(store.place, store.blobs, tmp_path / "made" / RELEASE, ["press-1"])
    start_rollout(store.place, RELEASE, "cell", RolloutPlan(stations=("press-1",)))
    return bundle


def test_nothing_is_known_of_a_new_product(store: Store, tmp_path: Path) -> None:
    assert champion_of(store.place, store.blobs, "cell", tmp_path / "into") is None


def test_what_was_calibrated_at_a_station_comes_out_of_its_kit(store: Store, tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "made", "cells")
    store.kit("press-1", bundle)
    for _ in range(2):  # again, it is there already
        found = champion_of(store.place, store.blobs, "cell", tmp_path / "into", "press-1")
        assert found is not None
        assert (found / "bundle.json").read_bytes() == (bundle.path / "bundle.json").read_bytes()
    assert champion_of(store.place, store.blobs, "board", tmp_path / "into") is None


def test_a_release_that_is_live_goes_before_a_kit_until_it_is_stopped(store: Store, tmp_path: Path) -> None:
    calibrated = make_bundle(tmp_path / "first", "cells")
    store.kit("press-1", calibrated)
    bundle = released(store, tmp_path)

    def digest() -> str:
        found = champion_of(store.place, store.blobs, "cell", tmp_path / "into", "press-1")
        assert found is not None
        return hashlib.sha256((found / "bundle.json").read_bytes()).hexdigest()

    assert digest() == calibrated.model_id.sha256
    store.live()
    assert digest() == bundle.model_id.sha256
    assert champion_of(store.place, store.blobs, "board", tmp_path / "into") is None
    stop_rollout(store.place, RELEASE, "the line complains")
    assert digest() == calibrated.model_id.sha256


def test_a_damaged_copy_is_no_champion(store: Store, tmp_path: Path) -> None:
    released(store, tmp_path)
    store.live()
    found = champion_of(store.place, store.blobs, "cell", tmp_path / "into")
    assert found is not None
    (found / "model.bin").write_bytes(b"")
    with pytest.raises(ModelError, match=r"model\.bin"):
        champion_of(store.place, store.blobs, "cell", tmp_path / "into")


def test_a_station_that_claims_a_product_is_no_champion_before_somebody_named_it(store: Store, tmp_path: Path) -> None:
    """Any station can write any product into its own file; a poor model there would let poor challengers through."""
    ours, others = make_bundle(tmp_path / "ours", "cells"), make_bundle(tmp_path / "others", "cells", blindness=1000)
    store.kit("a-first", others)
    with pytest.raises(UnnamedChampionError, match='a-first may hold it: set champion_station = "a-first"'):
        champion_of(store.place, store.blobs, "cell", tmp_path / "into")
    store.kit("press-1", ours)
    found = champion_of(store.place, store.blobs, "cell", tmp_path / "into", "press-1")
    assert found is not None
    assert hashlib.sha256((found / "bundle.json").read_bytes()).hexdigest() == ours.model_id.sha256


@pytest.mark.parametrize(
    "config",
    [b"[[product", b"product = 3\n", b"product = ['cell']\n", b"\xff"],
    ids=["cut", "number", "words", "bytes"],
)
def test_a_station_whose_kit_cannot_be_read_keeps_no_other_stations_bundle_back(
    store: Store, tmp_path: Path, config: bytes
) -> None:
    bundle = make_bundle(tmp_path / "made", "cells")
    store.kit("a-first", bundle, config)
    assert champion_of(store.place, store.blobs, "cell", tmp_path / "into") is None
    store.kit("press-1", bundle)
    assert champion_of(store.place, store.blobs, "cell", tmp_path / "into", "press-1") is not None


def test_a_named_station_that_has_no_such_kit_leaves_no_challenger_unmeasured(store: Store, tmp_path: Path) -> None:
    store.kit("press-1", make_bundle(tmp_path / "made", "cells"))
    with pytest.raises(StoreError, match="press-2"):
        champion_of(store.place, store.blobs, "cell", tmp_path / "into", "press-2")
    with pytest.raises(KitError, match="its kit holds no bundle of 'board'"):
        champion_of(store.place, store.blobs, "board", tmp_path / "into", "press-1")


def test_a_station_left_behind_that_still_counts_makes_no_older_release_the_one_in_use(
    store: Store, tmp_path: Path
) -> None:
    released(store, tmp_path)
    newer = make_bundle(tmp_path / "newer", "cells", 3)
    name = RELEASE.replace("-v2", "-v3")
    pack(newer, tmp_path / "newer" / name)
    offer(store.place, store.blobs, tmp_path / "newer" / name, ["press-2"])
    start_rollout(store.place, name, "cell", RolloutPlan(stations=("press-2",)))
    store.live()
    with store.engine.begin() as connection:
        connection.execute(sa.update(rollouts).values(state="done"))
        connection.execute(sa.update(releases).where(releases.c.name == RELEASE).values(made_at_ms=1))
        connection.execute(sa.update(jobs).where(jobs.c.name == RELEASE).values(changed_at_ms=1 << 42))
    found = champion_of(store.place, store.blobs, "cell", tmp_path / "into")
    assert found is not None
    assert hashlib.sha256((found / "bundle.json").read_bytes()).hexdigest() == newer.model_id.sha256
