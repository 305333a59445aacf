"""Which images are learned from and which are held out, for ever: pure.

- Images that belong together (near-twins, one part, one group of an import) go the same way.
- What was held out once stays so. What belongs with it later is neither learned from nor judged by.
- What was learned from once is never judged by, and no new image that belongs with it is.
- Of what is new, each class gives its share to the hold-out, in the order of a hash: nobody chooses. What a random
  audit chose is dealt with apart, so that the hold-out has its share of it.
"""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import Literal

from cloud_sync.hub.labels.truths import GOOD

Split = Literal["train", "val", "test"]
Role = Literal["holdout", "twin", "learned"]
TWIN = "belongs with a held-out image"
LEARNED_TWIN = "was learned from, and belongs with a held-out image"
NOT_TAUGHT = "held out, and no image of its class to learn from"


@dataclass(frozen=True, slots=True)
class Image:
    """One labelled image.

    Args:
        sample: its id.
        group: images that share it belong together.
        names: the classes that its label names; none: it is good.
        audit: a random audit chose it.
        fit: it can be used; one that was dealt out once and cannot, just now, still decides for what belongs with it.
    """

    sample: str
    group: str
    names: tuple[str, ...]
    audit: bool = False
    fit: bool = True

    @property
    def name(self) -> str:
        """The class that it is dealt by."""
        return self.names[0] if self.names else GOOD


@dataclass(frozen=True, slots=True)
class Shares:
    """How much is held out.

    Args:
        holdout: of each class's groups.
        val: of what is left of them, to choose thresholds by.
        least_good: more than that share where the hold-out would have fewer good groups than this: it proves nothing
            below. Never more than half of what there is.
        least_defective: likewise of all classes together.
    """

    holdout: float = 0.2
    val: float = 0.1
    least_good: int = 0
    least_defective: int = 0


@dataclass(frozen=True, slots=True)
class Divided:
    """Splits by sample; why the others are in none; and the roles that are new with this."""

    splits: Mapping[str, Split]
    left_out: Mapping[str, str]
    roles: Mapping[str, Role]


def divide(images: Sequence[Image], roles: Mapping[str, Role], shares: Shares) -> Divided:
    """Deal the images out.

    Args:
        images: all that can be used, in any order.
        roles: what earlier runs made of them.
        shares: how much is held out.
    """
    groups: dict[str, list[Image]] = defaultdict(list)
    for image in sorted(images, key=lambda image: image.sample):
        groups[image.group].append(image)
    held = _held_out(groups, roles, shares)
    new: dict[str, Role] = {}
    splits: dict[str, Split] = {}
    left_out: dict[str, str] = {}
    for key, members in groups.items():
        for image in (image for image in members if image.fit):
            role = roles.get(image.sample) or new.setdefault(image.sample, _role(key, held, roles, members))
            if role == "twin" or (role == "learned" and key in held):
                left_out[image.sample] = TWIN if role == "twin" else LEARNED_TWIN
            else:
                splits[image.sample] = "test" if role == "holdout" else "train"
    _take_val(groups, splits, shares)
    _leave_untaught(images, splits, left_out)
    return Divided(splits, left_out, new)


def order_of(group: Sequence[Image]) -> str:
    """What a group's place in the deal depends on: its members, and nothing that anybody can choose."""
    return hashlib.sha256(min(image.sample for image in group).encode()).hexdigest()


def _role(key: str, held: set[str], roles: Mapping[str, Role], members: Sequence[Image]) -> Role:
    """Of a new image."""
    if key not in held:
        return "learned"
    before = any(roles.get(image.sample) in {"holdout", "twin"} for image in members)
    return "twin" if before else "holdout"


def _held_out(groups: Mapping[str, Sequence[Image]], roles: Mapping[str, Role], shares: Shares) -> set[str]:
    """Groups with a held-out image, and those of the new ones that become so."""
    held = {key for key, members in groups.items() if any(roles.get(i.sample) in {"holdout", "twin"} for i in members)}
    strata: dict[tuple[str, bool], list[str]] = defaultdict(list)
    for key, members in groups.items():
        if key in held or any(image.fit for image in members):  # else there is nothing of it to hold out
            strata[_stratum(members)].append(key)
    for stratum, keys in strata.items():
        free = [key for key in keys if not any(image.sample in roles for image in groups[key])]
        kind = [other for (name, _), own in strata.items() if (name == GOOD) == (stratum[0] == GOOD) for other in own]
        least = shares.least_good if stratum[0] == GOOD else shares.least_defective
        lacking = _wanted(len(keys), len(kind), shares.holdout, least) - len(held.intersection(keys))
        held.update(sorted(free, key=lambda key: order_of(groups[key]))[: max(0, lacking)])
    return held


def _wanted(groups: int, of_kind: int, share: float, least: int) -> int:
    """How many of a stratum's groups are held out: its share, or its part of the least that proves anything."""
    part = ceil(least * groups / of_kind) if of_kind else 0
    return max(floor(share * groups), min(part, groups // 2))


def _stratum(members: Sequence[Image]) -> tuple[str, bool]:
    defects = sorted(image.name for image in members if image.names)
    return (defects[0] if defects else GOOD), any(image.audit for image in members)


def _take_val(groups: Mapping[str, Sequence[Image]], splits: dict[str, Split], shares: Shares) -> None:
    """Of what is learned from, each class's share; at least one group where there are two of a class."""
    strata: dict[str, list[str]] = defaultdict(list)
    for key, members in groups.items():
        if any(splits.get(image.sample) == "train" for image in members):
            strata[_stratum(members)[0]].append(key)
    taken = []
    for keys in strata.values():
        keys.sort(key=lambda key: order_of(groups[key]))
        taken += keys[: floor(shares.val * len(keys))]
    largest = max(strata.values(), key=lambda keys: (len(keys), keys), default=[])
    if not taken and len(largest) > 1:
        taken = largest[:1]
    for key in taken:
        splits.update({image.sample: "val" for image in groups[key] if splits.get(image.sample) == "train"})


def _leave_untaught(images: Sequence[Image], splits: dict[str, Split], left_out: dict[str, str]) -> None:
    """What is held out of a class that nobody can learn yet judges nobody; what is to choose by is learned from."""
    for split in ("val", "test"):
        taught = {name for image in images if splits.get(image.sample) == "train" for name in image.names}
        for image in images:
            if splits.get(image.sample) == split and not set(image.names) <= taught:
                if split == "val":
                    splits[image.sample] = "train"
                else:
                    del splits[image.sample]
                    left_out[image.sample] = NOT_TAUGHT
