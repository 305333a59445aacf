"""What a release is held against here: what the offer asks, and never less than station.toml does. Pure.

An offer is not signed. Whoever owns the broker can offer a signed release with limits that hold nothing back; the
station's own stand in the way of that.
"""

from cloud_sync.wire.messages import Job, Probation
from edge.config_sync import ReleaseSection


def in_shadow(job: Job, own: ReleaseSection) -> Probation:
    """The limits before it decides."""
    return _stricter(job.probation or Probation(), own, own.shadow_parts)


def on_probation(job: Job, own: ReleaseSection) -> Probation:
    """The limits once it decides."""
    return _stricter(job.probation or Probation(), own, own.live_parts)


def _stricter(asked: Probation, own: ReleaseSection, parts: int) -> Probation:
    """Of each limit the one that lets less through."""
    return Probation(
        parts=max(asked.parts, parts),
        disagreement_most=min(asked.disagreement_most, own.disagreement_most),
        undecided_most=min(asked.undecided_most, own.undecided_most),
        reject_shift_most=min(asked.reject_shift_most, own.reject_shift_most),
        escape_most=min(asked.escape_most, own.escape_most),
    )
