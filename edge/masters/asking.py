"""Who checks a product's master parts: the running daemon, or where none runs this process itself."""

from edge.config import ProductSection, StationConfig
from edge.domain.errors import ConfigError
from edge.line.masters import ask_station
from edge.line.protocol import MastersAnswer, VerifyMasters, parse_address
from edge.masters.offline import verify_offline
from edge.masters.standing import may_check
from edge.masters.store import MasterStore
from edge.record.checks import CheckRecord, last_checks, read_check
from edge.record.lock import OwnedError


def verify(config: StationConfig, section: ProductSection, asked_by: str) -> tuple[MastersAnswer, CheckRecord | None]:
    """What came of it, and the record where there is one.

    Raises:
        ConfigError: the product has no master parts, or bundle and configuration do not fit.
        OutputError: a daemon runs and does not answer at its line port.
        ModelError, StorageError: the bundle cannot be run, or the disk refuses.
    """
    known = config.database_path.exists() and section.id in last_checks(config.database_path)
    if not may_check(section.masters.required, known, MasterStore(config.station.data_dir, section.id).exists):
        raise ConfigError(f"product {section.id!r} has no master parts: add some with `edge masters add`")
    try:
        number, check = verify_offline(config, section, asked_by)
    except OwnedError:
        answer = ask_station(parse_address(config.line.port), VerifyMasters(section.id, asked_by))
        return answer, None if answer.check_id is None else read_check(config.database_path, answer.check_id)
    return MastersAnswer(section.id, check.outcome, check.why, number, check.at.isoformat()), check
