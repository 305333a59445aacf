"""How a station connects to its broker."""

from cloud_sync.wire import topics
from cloud_sync.wire.identity import Identity
from cloud_sync.wire.link import Address
from cloud_sync.wire.messages import StateMessage
from cloud_sync.wire.mqtt import MqttLink
from cloud_sync.wire.mqtt_settings import MqttSettings, Will

OFFLINE = StateMessage(state="offline").pack()


def subscriptions(station: str) -> tuple[str, ...]:
    """All that a station hears: acknowledgements, commands, and what its passengers are answered and offered."""
    return (
        topics.ack(station),
        topics.command(station),
        topics.file_ack(station),
        topics.job(station),
        topics.blocks(station),
    )


def station_link(station: str, address: Address, identity: Identity | None = None) -> MqttLink:
    """The station's link: hears what is for it, and leaves a will that says it is offline.

    It keeps no session: whatever it missed is settled by sending again.

    Raises:
        LinkError: a bad station id, or another machine's address without an identity.
    """
    return MqttLink(
        MqttSettings(
            address=address,
            client_id=f"inspectd-{topics.checked_station(station)}",
            subscriptions=subscriptions(station),
            will=Will(topics.state(station), OFFLINE),
            identity=identity,
        )
    )
