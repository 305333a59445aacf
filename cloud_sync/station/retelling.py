"""What a keeper of releases says, on its way to the cloud: each change, the last word again, figures now and then."""

from collections import deque

from cloud_sync.station.keeping import Keeper, Word

FIGURES_EVERY_S = 2.0
_MOST = 64


class Retelling:
    """Words that wait to be told. Used by the uplink's thread alone.

    Args:
        keeper: whose words.
    """

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._waiting: deque[Word] = deque(maxlen=_MOST)
        self._last: Word | None = None
        self._figures_due_s = 0.0

    def begin(self) -> None:
        """A new connection: what was told last is told again."""
        if self._last is not None and not self._waiting:
            self._waiting.append(self._last)
            self._figures_due_s = 0.0

    def speaks_of(self, job: str) -> bool:
        """Whether this offer was taken beyond its download."""
        self._take_in()
        return (self._last is not None and self._last.job == job) or any(word.job == job for word in self._waiting)

    def due(self, now_s: float) -> Word | None:
        """The next word to tell; None where nothing changed, or only figures that may wait."""
        self._take_in()
        if not self._waiting:
            return None
        word = self._waiting[0]
        return word if word.is_news(self._last) or now_s >= self._figures_due_s else None

    def told(self, now_s: float) -> None:
        """The one that was due is on its way."""
        self._last = self._waiting.popleft()
        self._figures_due_s = now_s + FIGURES_EVERY_S

    def _take_in(self) -> None:
        for word in self._keeper.words():
            if self._waiting and not word.is_news(self._waiting[-1]):
                self._waiting.pop()  # the same, with newer figures
            self._waiting.append(word)
