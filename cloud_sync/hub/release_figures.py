"""Figures of releases for Prometheus: how long what is signed still holds, and what stations say against a release.

They are read out of the store when somebody asks, and at most so often; a store that fails gives NaN, no old word.
"""

import datetime as dt
import logging
import math
import time
from collections.abc import Callable, Mapping
from functools import partial

from cloud_sync.hub.metrics import CollectorMetrics
from cloud_sync.hub.rollout.showing import in_use
from cloud_sync.hub.rollout.stages import has_proven
from cloud_sync.hub.rollout.watching import against
from cloud_sync.hub.store.errors import StoreError
from cloud_sync.hub.trust.kept import read_state
from models.trust.errors import TrustError
from models.trust.keys import ROLES

_READ_EVERY_S = 15.0
_logger = logging.getLogger(__name__)
_Figures = Mapping[str, float]


def add_release_figures(metrics: CollectorMetrics, place: str) -> None:
    """Add the gauges.

    Args:
        metrics: of the collector.
        place: the store; it must exist.
    """
    signed, stations = _Read(partial(_left_s, place)), _Read(partial(_stations, place))
    for role in ROLES:
        text = f"Until what is signed as {role} expires; NaN where nothing is signed. Renewed in time by `cloud work`."
        metrics.ask(f"signed_{role}_left_seconds", text, partial(signed.of, role))
    text = "Stations that went back from a release in use, rejected it, or on which it broke."
    metrics.ask("release_stations_against", text, partial(stations.of, "against"))
    text = "Stations that were asked to decide by a release in use, and have not proven it."
    metrics.ask("release_stations_unproven", text, partial(stations.of, "unproven"))
    text = "Products whose newest rollout was stopped."
    metrics.ask("rollouts_stopped", text, partial(stations.of, "stopped"))


class _Read:
    """What a reading found, for as long as it is new."""

    def __init__(self, read: Callable[[], _Figures]) -> None:
        self._read = read
        self._found: _Figures = {}
        self._again_s = 0.0

    def of(self, name: str) -> float:
        """One figure; NaN where it is not known."""
        if time.monotonic() >= self._again_s:
            self._again_s = time.monotonic() + _READ_EVERY_S
            try:
                self._found = self._read()
            except (StoreError, TrustError) as error:
                _logger.warning("figures of releases cannot be read: %s", error)
                self._found = {}
        return self._found.get(name, math.nan)


def _left_s(place: str) -> _Figures:
    state, now = read_state(place), dt.datetime.now(dt.UTC)
    return {} if state is None else {role: (state.expires(role) - now).total_seconds() for role in ROLES}


def _stations(place: str) -> _Figures:
    found = in_use(place, time.time_ns() // 1_000_000)
    standings = [(rollout.plan, one) for rollout, ones in found.done for one in ones]
    return {
        "against": sum(bool(against(plan, one)) for plan, one in standings),
        "unproven": sum(bool(one.asked) and not has_proven(plan, one) for plan, one in standings),
        "stopped": len(found.stopped),
    }
