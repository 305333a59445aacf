"""Who checks a product's master parts: the running daemon, or where none runs this process itself."""

from collections.abc import Callable

from edge.config import ProductSection, StationConfig
from edge.domain.errors import ConfigError
from edge.line.masters import ask_station, show_master
from edge.line.protocol import MastersAnswer, Trigger, VerifyMasters, master_part_id, parse_address
from edge.line.said import Told
from edge.masters.offline import verify_offline
from edge.masters.standing import may_check, terms_of
from edge.masters.store import Master, MasterStore
from edge.record.checks import CheckRecord, last_checks, read_check
from edge.record.lock import OwnedError

_GRACE_S = 5.0


def verify(config: StationConfig, section: ProductSection, asked_by: str) -> tuple[MastersAnswer, CheckRecord | None]:
    """What came of it, and the record where there is one.

    Raises:
        ConfigError: the product has no master parts, or bundle and configuration do not fit.
        OutputError: a daemon runs and does not answer at its line port.
        ModelError, StorageError: the bundle cannot be run, or the disk refuses.
    """
    _check_there_are_some(config, section)
    try:
        number, check = verify_offline(config, section, asked_by)
    except OwnedError:
        return verify_shown(config, section, asked_by, "")
    return MastersAnswer(section.id, check.outcome, check.why, number, check.at.isoformat()), check


def verify_shown(
    config: StationConfig, section: ProductSection, asked_by: str, shown: str
) -> tuple[MastersAnswer, CheckRecord | None]:
    """Have the running station judge what it was shown in this session, or its stored pictures where that is empty.

    Raises:
        ConfigError: the product has no master parts.
        OutputError: no daemon answers at the line port.
        StorageError: the record cannot be read.
    """
    answer = ask_station(parse_address(config.line.port), VerifyMasters(section.id, asked_by, shown))
    return answer, None if answer.check_id is None else read_check(config.database_path, answer.check_id)


def show_all(
    config: StationConfig,
    section: ProductSection,
    shown: str,
    prompt: Callable[[Master], None],
    say: Callable[[str], None],
) -> None:
    """Have each master part put under its camera, and inspected there; what came of it is said as it comes.

    Args:
        config: the station's.
        section: the product.
        shown: the session's name.
        prompt: asks for a master part, and returns once it lies there.
        say: tells a person.

    Raises:
        ConfigError: there are none, or the station refuses.
        OutputError: no daemon answers at the line port.
    """
    _check_there_are_some(config, section)
    address, patience_s = parse_address(config.line.port), config.line.deadline_ms / 1000 + _GRACE_S
    for master in MasterStore(config.station.data_dir, section.id).masters():
        prompt(master)
        trigger = Trigger(master_part_id(shown, master.name), section.id, (master.camera,), master.name)
        told: Told = show_master(address, trigger, patience_s)
        say(f"{master.name}: {told.verdict.value} {' '.join(told.reasons)}".rstrip())


def _check_there_are_some(config: StationConfig, section: ProductSection) -> None:
    known = config.database_path.exists() and section.id in last_checks(config.database_path)
    has_masters = MasterStore(config.station.data_dir, section.id).exists
    if not may_check(terms_of(section.masters), known=known, has_masters=has_masters):
        raise ConfigError(f"product {section.id!r} has no master parts: add some with `edge masters add`")
