"""A release's course in the words of the wire and of the status file; changes at once, figures now and then."""

import time
from collections.abc import Callable

from cloud_sync.station.keeping import KeptState, Word
from edge.release.course import TOLD, Course, Phase
from edge.release.gates import decided_in_all, sum_of

_FIGURES_EVERY_S = 1.0
_PROVEN_EVERY_S = 60.0  # it may decide for months


class Telling:
    """Says what changed, and no more.

    Args:
        say: takes a word on its way to the cloud.
    """

    def __init__(self, say: Callable[[Word], None]) -> None:
        self._say = say
        self._last: Word | None = None
        self._last_s = 0.0

    def say(self, course: Course) -> None:
        """Where it stands now."""
        self._put(word_of(course), _PROVEN_EVERY_S if course.proven else _FIGURES_EVERY_S)

    def say_tried(self, course: Course) -> None:
        """Its signature is good, and it is being tried."""
        self._put(Word(course.job.job, "selftest"), _FIGURES_EVERY_S)

    def _put(self, word: Word, every_s: float) -> None:
        now_s = time.monotonic()
        waits = now_s < self._last_s + every_s
        if word == self._last or (waits and not self._is_news(word)):
            return
        self._last, self._last_s = word, now_s
        self._say(word)

    def _is_news(self, word: Word) -> bool:
        last = self._last
        return word.is_news(last) or last is None or word.figures.get("proven") != last.figures.get("proven")


def word_of(course: Course) -> Word:
    """For the cloud."""
    return Word(course.job.job, TOLD[course.phase], course.why, figures_of(course))


def figures_of(course: Course) -> dict[str, float]:
    """Counts of the stage that it is in, or was in when it ended."""
    if course.decided or course.phase in {Phase.LIVE, Phase.GOING_BACK}:
        return decided_in_all(list(course.decided.values())).as_figures() | {"proven": float(course.proven)}
    return sum_of(list(course.beside.values())).as_figures() if course.beside else {}


def as_status(course: Course) -> dict[str, object]:
    """For `edge status`."""
    state: KeptState = TOLD[course.phase]
    return {
        "job": course.job.job,
        "name": course.job.name,
        "asked": course.job.stage,
        "state": state,
        "why": course.why,
        "bundle": course.bundle or None,
        "version": course.version or None,
        "before": course.before or None,
        "proven": course.proven,
        "figures": figures_of(course),
    }
