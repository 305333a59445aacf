"""Who gets which group: shares kept for every class at once, whole groups only. Pure.

Groups go, the largest first, where most of what they bring is wanted, rare things weighing as much as frequent ones.
Where that leaves a split without a class of which there are groups enough, the deal is made again: first one group of
each class to train, to test and to val, the rarest class first, and then the others as before.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

IMAGES = "all images"
_FIRST_NEED = ("train", "test", "val")
Counts = Mapping[str, Counter[str]]
Shares = Mapping[str, float]


def deal(counts: Counts, shares: Shares) -> dict[str, str]:
    """A split per group.

    Args:
        counts: what each group brings: `IMAGES`, and how much of each class; groups in the order that breaks ties.
        shares: of everything, by split; their sum is 1.
    """
    dealt = _dealt(counts, shares, {})
    return _dealt(counts, shares, _one_of_each(counts, shares)) if _lacks(counts, shares, dealt) else dealt


def _lacks(counts: Counts, shares: Shares, dealt: Mapping[str, str]) -> bool:
    """Whether a split has nothing of what there are groups enough for; train comes first, then test."""
    reached: dict[str, set[str]] = defaultdict(set)
    for key, name in dealt.items():
        for item in counts[key]:
            reached[item].add(name)
    needed = [name for name in _FIRST_NEED if name in shares]
    return any(not reached[item].issuperset(needed[: len(held)]) for item, held in _holders(counts).items())


def _holders(counts: Counts) -> dict[str, list[str]]:
    """Groups by what they bring."""
    found: dict[str, list[str]] = defaultdict(list)
    for key, count in counts.items():
        for item in count:
            found[item].append(key)
    return found


def _dealt(counts: Counts, shares: Shares, first: Mapping[str, str]) -> dict[str, str]:
    """The groups of `first` as it says, the others where they are wanted."""
    wanted = _wanted(counts.values(), shares)
    dealt: dict[str, str] = {}
    others = sorted((key for key in counts if key not in first), key=lambda key: -counts[key][IMAGES])
    for key in (*first, *others):
        name = first.get(key) or _neediest(wanted, counts[key])
        dealt[key] = name
        wanted[name] = {item: number - counts[key][item] for item, number in wanted[name].items()}
    return dealt


def _one_of_each(counts: Counts, shares: Shares) -> dict[str, str]:
    """Groups that give each split an example of each class: the largest to train, small ones to the others."""
    holders, needed = _holders(counts), [name for name in _FIRST_NEED if name in shares]
    dealt: dict[str, str] = {}
    for item in sorted(holders, key=lambda item: (len(holders[item]), item)):
        for name in needed:
            free = [key for key in holders[item] if key not in dealt]
            if free and all(dealt.get(key) != name for key in holders[item]):
                best = max if name == "train" else min
                dealt[best(free, key=lambda key: counts[key][IMAGES])] = name
    return dealt


def _wanted(counts: Iterable[Counter[str]], shares: Shares) -> dict[str, dict[str, float]]:
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return {name: {item: share * number for item, number in total.items()} for name, share in shares.items()}


def _neediest(wanted: dict[str, dict[str, float]], brings: Counter[str]) -> str:
    """The split that lacks most of what this group brings, rare things weighing as much as frequent ones."""

    def need(name: str) -> float:
        mine = wanted[name]
        return sum(mine.get(item, 0.0) / max(1.0, sum(w.get(item, 0.0) for w in wanted.values())) for item in brings)

    return max(wanted, key=need)
