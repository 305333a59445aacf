"""How the CPU is used: threads, streams and requests for the cores that are really granted."""

import math
import os
from dataclasses import dataclass
from pathlib import Path

from edge.config import InferenceSection
from edge.domain.errors import ConfigError

_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Plan:
    """Threads for the whole model, streams that run side by side, requests that may be in flight."""

    threads: int
    streams: int
    requests: int


def granted_cpus() -> int:
    """How many cores this process may really use: affinity and cgroup quota (v2 and v1), at least 1."""
    quotas = [quota for quota in (_quota_v2(), _quota_v1()) if quota is not None]
    return max(1, min([len(os.sched_getaffinity(0)), *(math.ceil(quota) for quota in quotas)]))


def make_plan(section: InferenceSection, cpus: int, cameras: int = 1) -> Plan:
    """Fill in what the configuration leaves open: one stream, requests for one part of all cameras and one more.

    One core is left to the rest of the station where there is more than one: on two cores the whole station was
    faster with one inference thread than with two (DECISIONS.md).

    Raises:
        ConfigError: fewer requests than cameras, so that one part could never be looked at as a whole.
    """
    if 0 < section.requests < cameras:
        raise ConfigError(f"inference.requests is {section.requests}, and a part has {cameras} cameras: set 0 or more")
    streams = section.streams or 1
    return Plan(section.threads or max(1, cpus - 1), streams, section.requests or max(streams, cameras) + 1)


def _quota_v2() -> float | None:
    try:
        quota, period = (_CGROUP / "cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        return None


def _quota_v1() -> float | None:
    try:
        quota = int((_CGROUP / "cpu" / "cpu.cfs_quota_us").read_text())
        period = int((_CGROUP / "cpu" / "cpu.cfs_period_us").read_text())
        return quota / period if quota > 0 else None
    except (OSError, ValueError):
        return None
