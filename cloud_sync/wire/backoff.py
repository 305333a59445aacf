"""How long to wait before the next try. Pure: it waits for nothing itself."""

from dataclasses import dataclass


@dataclass(slots=True)
class Backoff:
    """Waits that double from `first_s` to `most_s`.

    Args:
        first_s: the wait after the first failure, seconds, above 0.
        most_s: the longest wait, seconds, at least `first_s`.
    """

    first_s: float = 0.5
    most_s: float = 10.0
    failures: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.first_s <= self.most_s:
            raise ValueError(f"waits grow from above 0, got {self.first_s} s to {self.most_s} s")

    def next_s(self) -> float:
        """The wait after one more failure, seconds."""
        self.failures += 1
        return doubled_s(self.first_s, self.failures, self.most_s)

    def reset(self) -> None:
        """It worked: the next failure waits `first_s` again."""
        self.failures = 0


def doubled_s(first_s: float, failures: int, most_s: float) -> float:
    """`first_s` after one failure, twice that after two, and so on up to `most_s`; seconds."""
    return min(most_s, first_s * 2.0 ** min(failures - 1, 64))
