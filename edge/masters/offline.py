"""A check of master parts without a daemon: this process owns the station's data while it lasts."""

import contextlib
import sqlite3

from edge.capture.pictures.watch import make_watch
from edge.capture.scales import scales_of
from edge.config import ProductSection, StationConfig
from edge.domain.errors import StorageError
from edge.fitting import fitting_recipes, fitting_reference, station_plan
from edge.health import Health
from edge.infer.comparing import ComparingEngine
from edge.infer.openvino import OpenVinoEngine
from edge.masters.check import Judge, Request, check_masters
from edge.masters.eyes import eyes_digest
from edge.masters.store import MasterStore
from edge.pipeline import Product
from edge.record.checks import CheckRecord, insert_check
from edge.record.database import open_database
from edge.record.lock import sole_owner
from models.bundle import open_for_line
from models.bundle_store import active_bundle


def verify_offline(config: StationConfig, section: ProductSection, asked_by: str) -> tuple[int, CheckRecord]:
    """Load the product's active bundle, check, record; returns the check's number and the check.

    Raises:
        StorageError: a daemon runs, or the disk refuses.
        ConfigError, ModelError: the bundle cannot be run, or recipe or reference do not suit it.
    """
    with sole_owner(config.station.data_dir):
        bundle = open_for_line(active_bundle(config.bundles_dir, section.bundle))
        recipe, own = fitting_recipes(section, bundle, scales_of(config, section))
        reference = fitting_reference(section, bundle.spec)
        with contextlib.closing(OpenVinoEngine(bundle, station_plan(config, bundle))) as engine:
            looking = engine if reference is None else ComparingEngine(engine, reference)
            product = Product(section.id, looking, recipe, by_camera=own)
            timeout_s = config.inference.timeout_ms / 1000
            judge = Judge(product, make_watch(config, Health()), looking.submit, timeout_s, config.cut_sizes)
            request = Request(config.station.id, asked_by, eyes=eyes_digest(config, section, product))
            check = check_masters(MasterStore(config.station.data_dir, section.id), judge, request)
        return _write(config, check), check


def _write(config: StationConfig, check: CheckRecord) -> int:
    connection = open_database(config.database_path)
    try:
        return insert_check(connection, check)
    except sqlite3.Error as error:
        raise StorageError(f"the check of master parts cannot be written to {config.database_path}: {error}") from error
    finally:
        connection.close()
