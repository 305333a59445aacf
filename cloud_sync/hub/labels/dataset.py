"""A data set of one product's labels, with a hold-out that is frozen for ever.

- The same store gives the same data set; a folder that is there whole is what it was, whatever came since.
- Who is held out is on record, with when, before anything is learned: see `dividing`.
- What people disagree about, could not judge, or has no image here is left out, and counted.
"""

import shutil
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import sqlalchemy as sa

from cloud_sync.hub.files.blobs import Blobs
from cloud_sync.hub.labels.dataset_files import Chosen, write_files
from cloud_sync.hub.labels.dividing import Divided, Image, Role, Shares, divide
from cloud_sync.hub.labels.errors import LabelError
from cloud_sync.hub.labels.facts import labels_seq
from cloud_sync.hub.labels.gathering import Gathered, gather
from cloud_sync.hub.labels.grouping import group_images
from cloud_sync.hub.labels.labelling import lock_labels
from cloud_sync.hub.labels.made import DatasetMade, Holdout, read_made
from cloud_sync.hub.labels.projecting import catch_up
from cloud_sync.hub.labels.truths import GOOD
from cloud_sync.hub.labels.writing import read, written
from cloud_sync.hub.store.label_tables import memberships

Kind = Literal["classifier", "detector", "anomaly"]
_TRIES = 5


@dataclass(frozen=True, slots=True)
class DatasetNeeds:
    """How much is held out, and below how many images it proves nothing; as a promotion's limits have them.

    Args:
        holdout: share of each class.
        val: share of the rest, to choose thresholds by.
        good: good images in the hold-out.
        defective: defective ones.
    """

    holdout: float = 0.2
    val: float = 0.1
    good: int = 50
    defective: int = 20

    @property
    def shares(self) -> Shares:
        """As they are dealt by."""
        return Shares(self.holdout, self.val, self.good, self.defective)


@dataclass(frozen=True, slots=True)
class _Member:
    role: Role
    audit: bool


def make_dataset(
    place: str, blobs: Blobs, product: str, out: Path, kind: Kind = "classifier", needs: DatasetNeeds | None = None
) -> DatasetMade:
    """Make the folder; one that is there already is left as it is, and said.

    Args:
        place: the store.
        blobs: where its images lie.
        product: of which product.
        out: the folder to make.
        kind: of the model that will learn: a detector wants boxes (COCO), the others labels of whole images (folders).
        needs: how much is held out.

    Raises:
        LabelError: nothing is labelled, an image is damaged, or `out` is something else.
        StoreError, BlobError, OSError: the outside world failed.
    """
    if out.exists():
        return read_made(out)
    catch_up(place)
    pool = out.with_name(f".{out.name}.pool")
    shutil.rmtree(pool, ignore_errors=True)
    pool.mkdir(parents=True)
    try:
        return _make(place, blobs, (product, kind, needs or DatasetNeeds()), pool, out)
    finally:
        shutil.rmtree(pool, ignore_errors=True)


def _make(place: str, blobs: Blobs, wanted: tuple[str, Kind, DatasetNeeds], pool: Path, out: Path) -> DatasetMade:
    product, kind, needs = wanted
    for _ in range(_TRIES):
        with read(place) as connection:
            seq = labels_seq(connection)  # first: what is said meanwhile is new to the next run
            members = _members(connection, product)
            gathered = gather(connection, blobs, product, pool, set(members), places=kind == "detector")
        if not gathered.images:
            raise LabelError(f"product {product!r} has no labelled image here: label some, or `cloud import` some")
        groups = group_images([*(image.look for image in gathered.images), *gathered.dealt])
        images = [image.as_image(groups) for image in gathered.images]
        images += [Image(look.sample, groups[look.sample], (), fit=False) for look in gathered.dealt]
        divided = divide(images, {sample: member.role for sample, member in members.items()}, needs.shares)
        audits = {image.sample for image in images if image.audit}
        if _keep(place, product, members, divided, audits):
            chosen = [
                Chosen(i, divided.splits[i.sample], groups[i.sample])
                for i in gathered.images
                if i.sample in divided.splits
            ]
            audits &= {sample for sample, role in divided.roles.items() if role == "holdout"}
            audits |= {sample for sample, member in members.items() if member.audit}
            made = _made(out, chosen, divided, gathered, (needs, seq, audits))
            return write_files(made, chosen, product, kind)
    raise LabelError(f"others make data sets of {product!r} all the time: make one after the other")


def _members(connection: sa.Connection, product: str) -> dict[str, _Member]:
    query = sa.select(memberships).where(memberships.c.product == product)
    return {row.sample: _Member(row.role, bool(row.audit)) for row in connection.execute(query)}


def _keep(place: str, product: str, before: Mapping[str, _Member], divided: Divided, audits: set[str]) -> bool:
    """Put the new roles on record, unless somebody else did so since."""
    if not divided.roles:
        return True
    with written(place) as connection:
        lock_labels(connection)
        if _members(connection, product) != before:
            return False
        rows = [
            {
                "product": product,
                "sample": sample,
                "role": role,
                "audit": sample in audits,
                "since_ms": time.time_ns() // 1_000_000,
            }
            for sample, role in sorted(divided.roles.items())
        ]
        connection.execute(sa.insert(memberships), rows)
    return True


def _made(
    out: Path, chosen: list[Chosen], divided: Divided, gathered: Gathered, more: tuple[DatasetNeeds, int, set[str]]
) -> DatasetMade:
    needs, seq, audits = more
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for item in chosen:
        counts[item.split].update(item.image.names or (GOOD,))
    tested = [item for item in chosen if item.split == "test"]
    audited = [item for item in tested if item.image.sample in audits]
    bad = [item for item in tested if item.image.names]
    held = Holdout(
        good=len(tested) - len(bad),
        defective={name: count for name, count in sorted(counts["test"].items()) if name != GOOD},
        audit_good=sum(not item.image.names for item in audited),
        audit_defective=sum(bool(item.image.names) for item in audited),
        audit=tuple(sorted(item.image.sample for item in audited)),
        added=sum(role == "holdout" for role in divided.roles.values()),
    )
    return DatasetMade(
        folder=out,
        digest="",
        images=len(chosen),
        labels_seq=seq,
        holdout=held,
        counts={split: dict(sorted(counts[split].items())) for split in ("train", "val", "test")},
        left_out=dict(Counter(divided.left_out.values()) + gathered.left_out),
        lacking=tuple(_lacking(counts, len(bad), held, needs)),
        unjudged=tuple(sorted(counts["train"].keys() - counts["test"].keys())),
    )


def _lacking(counts: Mapping[str, Counter[str]], bad: int, held: Holdout, needs: DatasetNeeds) -> list[str]:
    """In words."""
    found = []
    if needs.good and not counts["train"][GOOD]:  # a detector may learn from boxes alone
        found.append("to learn from: good images are needed")
    if not counts["train"].keys() - {GOOD}:
        found.append("to learn from: defective images are needed")
    if not counts["val"]:
        found.append("to choose thresholds by: there are too few images that do not belong together")
    if held.good < needs.good:
        found.append(f"hold-out: {held.good} good images, {needs.good} are needed to judge overkill")
    if bad < needs.defective:
        found.append(f"hold-out: {bad} defective images, {needs.defective} are needed to judge escapes")
    return found
