"""How a station connects to its broker."""

import json

from cloud_sync.wire import topics
from cloud_sync.wire.link import Address
from cloud_sync.wire.mqtt import MqttLink
from cloud_sync.wire.mqtt_settings import MqttSettings, Will

ONLINE = json.dumps({"state": "online"}).encode()
OFFLINE = json.dumps({"state": "offline"}).encode()


def station_link(station: str, address: Address) -> MqttLink:
    """The station's link: hears its acknowledgements, and leaves a will that says it is offline.

    It keeps no session: whatever it missed is settled by sending again. Raises LinkError on a bad station id.
    """
    return MqttLink(
        MqttSettings(
            address=address,
            client_id=f"inspectd-{topics.checked_station(station)}",
            subscriptions=(topics.ack(station),),
            will=Will(topics.state(station), OFFLINE),
        )
    )
