"""How to connect to an MQTT broker."""

from dataclasses import dataclass

from cloud_sync.wire.endpoint import check_plain
from cloud_sync.wire.identity import Identity
from cloud_sync.wire.link import Address


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker publishes, retained, when the connection breaks without a farewell."""

    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class MqttSettings:
    """How to connect. Raises LinkError where no identity is given and the address is not this machine's loopback.

    Args:
        address: where the broker listens.
        client_id: our name at the broker; two connections of one name put each other out.
        subscriptions: topics to receive, wildcards allowed.
        will: left with the broker, if any.
        session_expiry_s: how long the broker keeps our session, with what came meanwhile; 0: none is kept.
        keepalive_s: after this long without a word the connection counts as broken.
        receive_limit: how many unacknowledged messages we take at a time.
        answer_timeout_s: where publishes wait and none is answered for so long, the connection is begun anew.
        identity: who we are, over mutual TLS; None: in the clear.
    """

    address: Address
    client_id: str
    subscriptions: tuple[str, ...] = ()
    will: Will | None = None
    session_expiry_s: int = 0
    keepalive_s: int = 15
    receive_limit: int = 100
    answer_timeout_s: float = 60.0
    identity: Identity | None = None

    def __post_init__(self) -> None:
        if self.identity is None:
            check_plain(self.address)
