"""What is counted over every label of a product, kept for whoever looks next."""

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar, cast

Found = TypeVar("Found")
_KEPT_S = 60.0
_LONG_S = 600.0  # what labels are dealt to changes without a new one


class Counted:
    """Counts anew where something was said since, once a minute at most; and every ten minutes in any case.

    Args:
        clock_s: any clock that only goes on.
    """

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, str], tuple[int, float, Any]] = {}

    def of(self, what: str, product: str, newest: int, count: Callable[[], Found]) -> Found:
        """What was counted last, or what `count` gives now.

        Args:
            what: the question.
            product: of which product.
            newest: the number of the newest label.
            count: looks at every label.
        """
        now_s = self._clock_s()
        with self._lock:
            seq, at_s, found = self._kept.get((what, product), (-1, float("-inf"), None))
        if now_s - at_s < (_LONG_S if seq == newest else _KEPT_S):
            return cast("Found", found)
        made = count()
        with self._lock:
            self._kept[what, product] = (newest, now_s, made)
        return made
