"""What a bundle would be run with at this station, as a challenger or once it is live."""

from edge.capture.scales import scales_of
from edge.config import StationConfig, chosen_product
from edge.fitting import chosen_plan, fitting_recipes, fitting_reference
from edge.shadow.comparing import Challenger
from edge.shadow.lane import Terms
from models.bundle import Bundle
from models.cpus import cpu_grant

_RESTS_UNDER_QUOTA = 3.0


def prepared(config: StationConfig, product_id: str, bundle: Bundle) -> Challenger:
    """The bundle with the product's rules for its kind, and its plan.

    Raises:
        ConfigError: the product, or the rules, do not fit it.
        ModelError: it does not say what it reports.
    """
    section = chosen_product(config, product_id)
    recipe, own = fitting_recipes(section, bundle, scales_of(config, section))
    reference = section.reference if fitting_reference(section, bundle.spec) is not None else None
    return Challenger(bundle, recipe, chosen_plan(config, bundle), own, reference)


def terms_of(config: StationConfig) -> Terms:
    """Where a challenger's process finds things here, and what it may take."""
    rests = 0.0 if cpu_grant().quota is None else _RESTS_UNDER_QUOTA
    return Terms(config.cache_dir, config.bundles_dir, config.inference.timeout_ms / 1000, rests)
