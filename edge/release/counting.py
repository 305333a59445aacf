"""Counts of a release over every restart: what was kept of earlier runs, and what this run adds."""

from dataclasses import replace

from edge.release.around import Shadow
from edge.release.course import Course
from edge.release.gates import Beside, Decided, reject_share, sum_of
from edge.tally import ModelTally


class Counting:
    """Of the release under way.

    Args:
        products: that it looks at.
        shadow: counts parts that both models looked at.
        tally: counts parts that each model decided.
        course: as it stands now, its shadow begun: what is counted from here on is added to what it has.
    """

    def __init__(self, products: list[str], shadow: Shadow, tally: ModelTally, course: Course) -> None:
        self._products = products
        self._shadow = shadow
        self._tally = tally
        self._beside = {name: course.beside.get(name, Beside()) for name in products}
        self._decided = {
            name: course.decided.get(name, Decided()).less(self._of_this_run(course, name)) for name in products
        }

    def in_shadow(self, course: Course) -> Course:
        """The course with its counts of now."""
        beside = {name: counts.plus(self._shadow.figures(name)) for name, counts in self._beside.items()}
        return replace(course, beside=beside)

    def live(self, course: Course) -> Course:
        """The course with its counts of now."""
        decided = {name: counts.plus(self._of_this_run(course, name)) for name, counts in self._decided.items()}
        return replace(course, decided=decided)

    def _of_this_run(self, course: Course, product: str) -> Decided:
        found = self._tally.of(product, course.sha256)
        return Decided(found.parts, found.rejects, found.undecided, found.faults)


def predicted(course: Course) -> float:
    """The share of parts that the release should reject, by its shadow, of the products that it decides on now."""
    overall = reject_share(sum_of(list(course.beside.values())))
    parts = sum(counts.parts for counts in course.decided.values())
    if not parts:
        return overall
    shares = {name: reject_share(counts) for name, counts in course.beside.items() if counts.parts}
    return sum(counts.parts * shares.get(name, overall) for name, counts in course.decided.items()) / parts
