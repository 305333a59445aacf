"""How the CPU is used: threads, streams and requests for the cores that are really granted."""

from dataclasses import dataclass, field, replace
from typing import Literal

from edge.config import InferenceSection
from edge.domain.errors import ConfigError

Origin = Literal["default", "tuned", "station.toml"]


@dataclass(frozen=True, slots=True)
class Plan:
    """Threads for the whole model, streams that run side by side, requests that may be in flight, in all and per frame.

    One frame needs more than one request only where it is cut into tiles.

    Args:
        pinning: whether each thread stays on its core; pinned processes on one machine collide on the same cores.
        origin: who chose it.
        why: in words.
    """

    threads: int
    streams: int
    requests: int
    per_frame: int = 1
    pinning: bool = False
    origin: Origin = field(default="default", compare=False)
    why: str = field(default="", compare=False)

    def for_cameras(self, cameras: int, *, tiled: bool) -> "Plan":
        """The same threads and streams for parts of another number of cameras."""
        needed = cameras * (self.streams + 1) if tiled else max(self.streams, cameras) + 1
        requests = max(self.requests, needed)
        return replace(self, requests=requests, per_frame=max(1, requests // cameras) if tiled else 1)

    def as_json(self) -> dict[str, int | bool | str]:
        """Plain values, as `edge status` shows them."""
        return {
            "threads": self.threads,
            "streams": self.streams,
            "requests": self.requests,
            "per_frame": self.per_frame,
            "pinning": self.pinning,
            "origin": self.origin,
            "why": self.why,
        }

    def __str__(self) -> str:
        pinned = ", pinned" if self.pinning else ""
        return f"{_many(self.threads, 'thread')}, {_many(self.streams, 'stream')}, {self.requests} requests{pinned}"


def make_plan(
    section: InferenceSection, cpus: int, cameras: int = 1, *, tiled: bool = False, kept: Plan | None = None
) -> Plan:
    """Fill in what the configuration leaves open, from the kept plan where there is one.

    Without a kept plan: one stream, requests for one part of all cameras and one more. One core is left to the rest of
    the station where there is more than one: on two cores the whole station was faster with one inference thread than
    with two (DECISIONS.md).

    Where frames are cut into tiles, each camera gets one request more than streams run, so that one tile is made ready
    while others are looked at; the requests of all cameras together never exceed those there are.

    Args:
        section: of station.toml; what is not 0 there wins.
        cpus: threads that this process is granted.
        cameras: of one part.
        tiled: whether the model cuts its frames into tiles.
        kept: what `edge tune` found for this machine, model and number of cameras.

    Raises:
        ConfigError: fewer requests than cameras, so that one part could never be looked at as a whole.
    """
    if 0 < section.requests < cameras:
        raise ConfigError(f"inference.requests is {section.requests}, and a part has {cameras} cameras: set 0 or more")
    threads = section.threads or (kept.threads if kept else max(1, cpus - 1))
    streams = section.streams or (min(kept.streams, threads) if kept else 1)
    needed = cameras * (streams + 1) if tiled else max(streams, cameras) + 1
    requests = section.requests or (max(kept.requests, cameras) if kept else needed)
    per_frame = max(1, requests // cameras) if tiled else 1
    return Plan(threads, streams, requests, per_frame, kept.pinning if kept else False, _origin(section, kept))


def _origin(section: InferenceSection, kept: Plan | None) -> Origin:
    if section.threads and section.streams and section.requests:
        return "station.toml"
    return "tuned" if kept else "default"


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
