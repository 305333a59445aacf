"""The steps as they are done in the field: on the store, its files, the keys and the stations.

Each can be done again after a kill, also by a worker on another machine: what it needs it takes from the store.
"""

import dataclasses
import json
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cloud_sync.hub.champions import UnnamedChampionError, champion_of
from cloud_sync.hub.files.blobs import Blobs, file_sha256, open_blobs
from cloud_sync.hub.labels.dataset import DatasetNeeds, Kind, make_dataset
from cloud_sync.hub.labels.errors import LabelError
from cloud_sync.hub.labels.made import DatasetMade
from cloud_sync.hub.retraining.cloud_toml import CloudConfig, ProductSection
from cloud_sync.hub.retraining.errors import RetrainingError
from cloud_sync.hub.retraining.proving import Question
from cloud_sync.hub.retraining.runs import Run, Runs
from cloud_sync.hub.retraining.snapshots import Kept, fetch, keep_file, keep_snapshot, lay_out
from cloud_sync.hub.retraining.steps import Done, Look, Steps
from cloud_sync.hub.retraining.training import TRAIN, Room, run_child
from cloud_sync.hub.retraining.work_folder import RunFolder, run_folder
from cloud_sync.hub.rollout.starting import RolloutError, start_rollout
from cloud_sync.hub.trust.passphrase import given_passphrase
from cloud_sync.hub.trust.publishing import publish_release
from models.archive import SUFFIX, pack, unpack
from models.bundle import Bundle, open_bundle
from models.trust.about import about_of
from models.trust.keys import TrustKeys

_PROVE = (sys.executable, "-m", "cloud_sync.hub.retraining.proving")


Maker = Callable[[str, Blobs, str, Path, Kind, DatasetNeeds], DatasetMade]


@dataclass(frozen=True, slots=True)
class Programs:
    """What runs as a process of its own: absolute paths and first arguments."""

    train: tuple[str, ...] = TRAIN
    prove: tuple[str, ...] = _PROVE


class Production:
    """Does the steps by a configuration.

    Args:
        config: where everything lies, and what each product's model is.
        runs: of the same store.
        make: freezes the labelled images of a product.
        programs: what trains and what proves.

    Raises:
        BlobError: the blob store's place is none.
    """

    def __init__(
        self, config: CloudConfig, runs: Runs, make: Maker = make_dataset, programs: Programs = Programs()
    ) -> None:
        self._config = config
        self._runs = runs
        self._make = make
        self._programs = programs
        self._place = config.cloud.store
        self._blobs = open_blobs(config.blobs)
        cloud = config.cloud
        self._room = Room(cloud.nice, cloud.idle, cloud.threads)

    @property
    def steps(self) -> Steps:
        """All of them."""
        return Steps(self.snapshot, self.champion, self.train, self.prove, self.publish, self.roll_out)

    def snapshot(self, run: Run, look: Look) -> Done:
        """Freeze the labelled images as they are now, unless that was done."""
        del look
        if run.snapshot_sha256 is not None:
            return Done({})
        folder, product = self._folder(run), self._product(run)
        folder.freeze("")
        shutil.rmtree(folder.data, ignore_errors=True)
        try:
            made = self._make(self._place, self._blobs, run.product, folder.data, product.kind, _needs(product))
        except LabelError as error:
            raise RetrainingError(str(error)) from error
        if made.lacking:
            return Done({}, no=f"the labelled images will not do yet: {'; '.join(made.lacking)}")
        classes = sorted({name for split in made.counts.values() for name in split})
        kept = keep_snapshot(folder.data, self._blobs)
        folder.freeze(kept.sha256)
        found = {"labels_seq": made.labels_seq, "images": made.images, "dataset_sha256": made.digest}
        return Done(
            {**found, "classes": json.dumps(classes), "snapshot_sha256": kept.sha256, "snapshot_bytes": kept.size_bytes}
        )

    def champion(self, run: Run, look: Look) -> Done:
        """Find the bundle in use, and give the new one its name."""
        del look
        if run.bundle is not None:
            return Done({})
        product = self._product(run)
        bundle = self._champion(run)
        taken = self._runs.versions(product.bundle)
        if bundle is not None and bundle.manifest.id == product.bundle:
            taken.append(bundle.manifest.version)
        name = f"{product.bundle}-v{max(taken, default=0) + 1}"
        return Done({"bundle": name, "champion_sha256": _digest(bundle)})

    def train(self, run: Run, look: Look) -> Done:
        """Train in a process of its own, and put the bundle into the blob store as one file."""
        if run.archive_sha256 is not None:
            return Done({})
        folder, out = self._folder(run), self._out(run)
        self._data(run)
        if not out.exists():
            run_child(self._words(run, out), folder.lock, folder.log, self._room, look)
        bundle = open_bundle(out)
        archive = folder.root / f"{run.bundle}{SUFFIX}"
        pack(bundle, archive)
        kept = keep_file(archive, self._blobs)
        return Done(
            {"bundle_sha256": bundle.model_id.sha256, "archive_sha256": kept.sha256, "archive_bytes": kept.size_bytes}
        )

    def prove(self, run: Run, look: Look) -> Done:
        """Measure challenger and champion on the hold-out; a challenger that fails goes no further, and is kept."""
        if run.proof is not None:
            return _proven(run.proof)
        folder = self._folder(run)
        champion, answer = self._champion(run), folder.root / "proof.json"
        data, challenger = self._data(run), self._bundle(run)
        limits = dataclasses.asdict(self._product(run).limits)
        words = Question(
            str(challenger.path),
            None if champion is None else str(champion.path),
            str(data),
            limits,
            str(folder.report),
            str(answer),
        )
        run_child((*self._programs.prove, words.as_json()), folder.lock, folder.log, self._room, look)
        proof = {**json.loads(answer.read_text(encoding="utf-8")), "champion_sha256": _digest(champion)}
        report = keep_file(folder.report, self._blobs)
        return _proven(proof, {"proof": json.dumps(proof), "report_sha256": report.sha256})

    def publish(self, run: Run, look: Look) -> Done:
        """Sign and publish the release."""
        del look
        keys = trust_keys(self._config)
        bundle, product = self._bundle(run), self._product(run)
        said = about_of(bundle, run.product, product.plan.stations)
        about = dataclasses.replace(said, parent=said.parent or run.champion_sha256)
        publish_release(self._place, self._blobs, keys, self._archive(run), about)
        return Done({"release": about.name})

    def roll_out(self, run: Run, look: Look) -> Done:
        """Begin the release's way to the stations; one for which there is no station yet is published all the same."""
        del look
        try:
            rollout = start_rollout(self._place, str(run.release), run.product, self._product(run).plan)
        except RolloutError as error:
            return Done({}, but=f"proven, signed, and not rolled out: {error}")
        return Done({"rollout": rollout})

    def _folder(self, run: Run) -> RunFolder:
        return run_folder(self._config.cloud.folder, run.run)

    def _product(self, run: Run) -> ProductSection:
        return self._config.product_of(run.product)

    def _out(self, run: Run) -> Path:
        name, _, version = str(run.bundle).rpartition("-v")
        return self._folder(run).bundle(name, int(version))

    def _words(self, run: Run, out: Path) -> tuple[str, ...]:
        """The training as whoever sits at a keyboard would ask for it."""
        product, folder = self._product(run), self._folder(run)
        words = [*self._programs.train, "--data", str(folder.data), "--out", str(out), "--kind", product.kind, "--json"]
        words += ["--split-by", "declared"]
        if product.method is not None:
            words += ["--method", product.method]
        if product.kind == "detector" or product.method == "finetune":
            words += ["--cache", str(folder.cache)]
        for option, value in (
            ("--minutes", product.minutes),
            ("--size", product.size_px),
            ("--overkill", product.overkill),
        ):
            words += [] if value is None else [option, f"{value:g}"]
        return tuple(words)

    def _champion(self, run: Run) -> Bundle | None:
        into = self._folder(run).champion
        shutil.rmtree(into, ignore_errors=True)
        station = self._product(run).champion_station
        try:
            found = champion_of(self._place, self._blobs, run.product, into, station)
        except UnnamedChampionError as error:
            raise RetrainingError(str(error)) from error
        return None if found is None else open_bundle(found)

    def _data(self, run: Run) -> Path:
        """The snapshot's folder, laid out anew where another worker froze it."""
        folder = self._folder(run)
        if folder.frozen() != run.snapshot_sha256:
            shutil.rmtree(folder.data, ignore_errors=True)
            lay_out(Kept(str(run.snapshot_sha256), run.snapshot_bytes or 0), self._blobs, folder.data)
            folder.freeze(str(run.snapshot_sha256))
        return folder.data

    def _bundle(self, run: Run) -> Bundle:
        """The challenger, unpacked where another worker trained it."""
        out = self._out(run)
        if out.exists():
            bundle = open_bundle(out)
            if bundle.model_id.sha256 == run.bundle_sha256:
                return bundle
            shutil.rmtree(out)  # ours came too late: the run goes on with another worker's
        return unpack(self._archive(run), out)

    def _archive(self, run: Run) -> Path:
        archive = self._folder(run).root / f"{run.bundle}{SUFFIX}"
        if not archive.exists() or file_sha256(archive)[0] != run.archive_sha256:
            fetch(Kept(str(run.archive_sha256), run.archive_bytes or 0), self._blobs, archive)
        return archive


def trust_keys(config: CloudConfig) -> TrustKeys:
    """The keys that releases are signed by. Raises KeyFileError: the passphrase cannot be read."""
    return TrustKeys(config.cloud.trust, given_passphrase(config.cloud.passphrase_file))


def _needs(product: ProductSection) -> DatasetNeeds:
    """So much is held out that the gate's own least is met."""
    return DatasetNeeds(good=product.limits.least_good, defective=product.limits.least_bad)


def _proven(proof: Mapping[str, object], found: Mapping[str, object] | None = None) -> Done:
    return Done(found or {}, no="" if proof["passed"] else str(proof["why_not"]))


def _digest(bundle: Bundle | None) -> str | None:
    return None if bundle is None else bundle.model_id.sha256
