"""The station's end of the sync, put together: the uplink over the station's own records, and who rides along."""

from collections.abc import Sequence

import structlog

from cloud_sync.station.connection import station_link
from cloud_sync.station.downlink import Downlink, DownPace
from cloud_sync.station.files import FilePace, FileSender
from cloud_sync.station.metadata import MetadataChannel
from cloud_sync.station.own_word import MakeHealth
from cloud_sync.station.passenger import Passenger
from cloud_sync.station.status import UplinkSettings
from cloud_sync.station.uplink import Uplink
from cloud_sync.wire.endpoint import PLAIN, Endpoint, is_loopback
from cloud_sync.wire.messages import HealthMessage
from edge.backup.uploads import StationUploads
from edge.config import StationConfig
from edge.domain.errors import ConfigError
from edge.handover import Handover
from edge.record.images import ImageStore
from edge.record.outbox import SqliteOutbox
from edge.record.recorder import Recorder
from edge.record.spool import stations_waiting
from edge.record.uploads import SqliteUploads
from edge.standing import read_state

log = structlog.get_logger()
_RESEND_MOST_S = 300.0
_ALARM_SHOWN = 300


def make_uplink(
    config: StationConfig,
    recorder: Recorder,
    health: MakeHealth | None = None,
    metadata: MetadataChannel | None = None,
    handover: Handover | None = None,
    riders: Sequence[Passenger] = (),
) -> Uplink | None:
    """The uplink, not started; None where the station has no broker.

    Args:
        config: the checked station.toml.
        recorder: through which the uplink deletes; its database is read beside it.
        health: says how the station is.
        metadata: by which another thread asks for signed metadata.
        handover: to whom takes releases further; None: they are fetched, and that is all.
        riders: who else sends and hears, before files and releases.

    Raises:
        LinkError: the broker's address is none.
        ConfigError: what waits was made under another station's id: the cloud would take none of it, ever.
    """
    if config.sync.broker is None:
        return None
    if others := stations_waiting(config.database_path) - {config.station.id}:
        raise ConfigError(
            f"{config.database_path} holds records of station {min(others)!r} that wait for the cloud, and this is "
            f"{config.station.id!r}: run `edge spool drain` under the old station.id, or move that file away"
        )
    endpoint = Endpoint.parse(config.sync.broker, config.identity_dir)
    _say_unenrolled(endpoint)
    kit = StationUploads(config, _images(config, recorder))
    uplink = Uplink(
        station=config.station.id,
        outbox=SqliteOutbox(recorder),
        link=station_link(config.station.id, endpoint.address, endpoint.identity),
        settings=UplinkSettings(config.sync.resend_s, max(config.sync.resend_s, _RESEND_MOST_S)),
        passengers=[*riders, *_passengers(config, kit, metadata, handover)],
        state=lambda: read_state(config.database_path),
        health=None if health is None else lambda: _with_kit(health(), kit),
    )
    kit.on_held = uplink.health_changed
    if metadata is not None:
        metadata.on_question = uplink.notify
    if handover is not None:
        handover.on_word = uplink.notify
    return uplink


def _with_kit(word: HealthMessage, kit: StationUploads) -> HealthMessage:
    """What the station says of itself, and what of it the cloud has, or why not."""
    alarms = {"spare_kit": f"no spare can be made of it as it is now: {kit.why}"[:_ALARM_SHOWN]} if kit.why else {}
    return word.model_copy(update={"kit": kit.held, "alarms": {**word.alarms, **alarms}})


def _say_unenrolled(endpoint: Endpoint) -> None:
    """A file of before inspectd knew identities says HOST:PORT and meant plain MQTT: say what to write now."""
    if endpoint.identity is None or endpoint.identity.pem.exists():
        return
    todo = "`edge enrol TOKEN`, with the token that `cloud pki enrol` prints where the cloud is"
    if is_loopback(endpoint.address.host):
        todo += f'; for a plain broker on this machine write sync.broker = "{PLAIN}://{endpoint.address}"'
    absent = f"a broker without a scheme means mutual TLS, and there is no {endpoint.identity.pem}"
    log.warning("nothing goes up", broker=str(endpoint.address), why=absent, todo=todo)


def _images(config: StationConfig, recorder: Recorder) -> SqliteUploads:
    store = ImageStore(config.images_dir, config.retention.image_format)
    return SqliteUploads(recorder, store, sends=config.sync.images != "none")


def _passengers(
    config: StationConfig, uploads: StationUploads, metadata: MetadataChannel | None, handover: Handover | None
) -> list[Passenger]:
    """Who else sends and hears over the uplink, in the order of their importance."""
    station, patience_s = config.station.id, config.sync.resend_s
    return [
        FileSender(station, uploads, FilePace(patience_s, max(patience_s, _RESEND_MOST_S))),
        metadata or MetadataChannel(station),  # before the downlink, which takes every other block
        Downlink(
            station,
            config.releases_dir,
            DownPace(min(patience_s, 10.0)),
            config.retention.free_bytes,
            keeper=handover,
        ),
    ]
