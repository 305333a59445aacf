"""How the CPU is used: threads, streams and requests for the cores that are really granted."""

from dataclasses import dataclass

from edge.config import InferenceSection
from edge.domain.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Plan:
    """Threads for the whole model, streams that run side by side, requests that may be in flight, in all and per frame.

    One frame needs more than one request only where it is cut into tiles.
    """

    threads: int
    streams: int
    requests: int
    per_frame: int = 1


def make_plan(section: InferenceSection, cpus: int, cameras: int = 1, *, tiled: bool = False) -> Plan:
    """Fill in what the configuration leaves open: one stream, requests for one part of all cameras and one more.

    Where frames are cut into tiles, each camera gets one request more than streams run, so that one tile is made ready
    while others are looked at; the requests of all cameras together never exceed those there are.

    One core is left to the rest of the station where there is more than one: on two cores the whole station was
    faster with one inference thread than with two (DECISIONS.md).

    Raises:
        ConfigError: fewer requests than cameras, so that one part could never be looked at as a whole.
    """
    if 0 < section.requests < cameras:
        raise ConfigError(f"inference.requests is {section.requests}, and a part has {cameras} cameras: set 0 or more")
    streams = section.streams or 1
    threads = section.threads or max(1, cpus - 1)
    if not tiled:
        return Plan(threads, streams, section.requests or max(streams, cameras) + 1)
    requests = section.requests or cameras * (streams + 1)
    return Plan(threads, streams, requests, max(1, requests // cameras))
