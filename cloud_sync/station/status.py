"""The uplink's pace, and how it stands."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class UplinkSettings:
    """The uplink's pace.

    Args:
        resend_after_s: an unacknowledged record is sent again after this, then after twice that, and so on.
        resend_most_s: the longest wait of that kind, seconds.
        poll_s: how often the outbox is looked at without a notice, seconds.
        capacity: how many records may wait for their acknowledgement at a time.
        gather_s: records that come within so short a time of the last ones travel together, seconds.
        settle_s: acknowledgements that come within so short a time are dealt with in one commit, seconds.
    """

    resend_after_s: float = 30.0
    resend_most_s: float = 300.0
    poll_s: float = 0.5
    capacity: int = 10_000
    gather_s: float = 0.02
    settle_s: float = 0.1


@dataclass(frozen=True, slots=True)
class UplinkStatus:
    """How the uplink stands.

    Args:
        connected: whether the broker answers.
        depth: records in the outbox, at most `poll_s` old; None until counted.
        sent: records sent for the first time on their connection.
        resent: records sent again on the same connection, unacknowledged for too long.
        acknowledged: records under way that the collector acknowledged.
        quarantined: acknowledged records of which the collector held other content under the same identity.
        buried: records that can never be sent, moved to the dead letters.
        suspects: records that are tried alone, because a connection broke or a broker refused while they were sent.
        denied: the topics that the broker does not let the station publish to, with its reason; "" where there is none.
        faults: how often something failed and was tried again.
        last_ack_at: when the last acknowledgement came, UTC.
        last_ack_age_s: how long ago that was, by a clock that only rises; None where none came yet.
        last_error: the last thing that went wrong, for a human; "" if nothing did.
    """

    connected: bool
    depth: int | None
    sent: int
    resent: int
    acknowledged: int
    quarantined: int
    buried: int
    suspects: int
    denied: str
    faults: int
    last_ack_at: datetime | None
    last_ack_age_s: float | None
    last_error: str
