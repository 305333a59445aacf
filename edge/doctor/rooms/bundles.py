"""The models: whole, let through their gate, fit for their product, and right on this machine."""

from collections.abc import Iterator

from edge.capture.scales import scales_of
from edge.config import ProductSection, StationConfig
from edge.doctor.around import Around
from edge.doctor.finding import Finding, fault, ok
from edge.domain.errors import ConfigError
from edge.fitting import fitting_recipes, fitting_reference
from edge.infer.kept_plans import kept_plans, machine_now
from models import bundle_store
from models.bundle import Bundle, open_for_line
from models.bundle_store import active_bundle, list_bundles
from models.compile import compile_bundle
from models.compiled_store import graph_digest
from models.cpus import has_bf16
from models.errors import GateError, ModelError
from models.scratch import size_bytes
from models.selftest import check_selftest
from models.spec import Precision
from models.verify import cpu_has_vnni


def product(around: Around, section: ProductSection) -> Iterator[Finding]:
    """Its active bundle: whole, fit for the recipe, and right."""
    name, config = f"product {section.id}", around.config
    assert config is not None  # noqa: S101 - the section is of it
    words = {"product": section.id, "bundle": section.bundle, "option": around.config_option}
    try:
        path = active_bundle(config.bundles_dir, section.bundle)
    except ModelError as error:
        made = any(each.id == section.bundle for each in list_bundles(config.bundles_dir))
        yield fault("bundles.none-active" if made else "bundles.none-yet", name, str(error), **words)
        return
    try:
        bundle = open_for_line(path)
    except GateError as error:
        yield fault("bundles.gate", name, str(error), **words)
    except (ModelError, OSError) as error:
        yield fault("bundles.damaged", name, str(error), **words)
    else:
        yield from _fit(config, section, bundle, words)
        yield from _precision(around, name, bundle)
        yield _self_test(around, name, bundle, words)


def _fit(config: StationConfig, section: ProductSection, bundle: Bundle, words: dict[str, str]) -> Iterator[Finding]:
    name = f"product {section.id}"
    try:
        fitting_recipes(section, bundle, scales_of(config, section))
        fitting_reference(section, bundle.spec)
    except ConfigError as error:
        yield fault("bundles.no-fit", name, str(error), **words)
    else:
        kept = any(config.cache_dir.glob(f"{graph_digest(bundle)}.*"))
        start = "its compiled graph is kept" if kept else "the first start compiles it"
        made = f"{bundle.model_id.id} v{bundle.model_id.version}, {bundle.spec.kind.value}, {bundle.precision.value}"
        yield ok("bundles", name, f"{made}: every hash is right, and the recipe fits; {start}")


def _precision(around: Around, name: str, bundle: Bundle) -> Iterator[Finding]:
    info = around.root / "proc/cpuinfo"
    if bundle.precision is Precision.INT8 and not cpu_has_vnni(info):
        yield fault("bundles.slow-precision", name, "it runs in INT8, and this processor has no VNNI")
    if bundle.precision is Precision.BF16 and not has_bf16(info):
        yield fault("bundles.slow-precision", name, "it runs in BF16, and this processor has none")


def _self_test(around: Around, name: str, bundle: Bundle, words: dict[str, str]) -> Finding:
    """Its own frames through its own graph, compiled anew; a running station did so when it started."""
    if around.daemon is not None:
        return ok("bundles", f"{name} self-test", "the running station took it through at its start")
    if around.quick:
        return ok("bundles", f"{name} self-test", "left out (--quick)")
    try:
        check_selftest(bundle, compile_bundle(bundle, threads=1))
    except ModelError as error:
        return fault("bundles.self-test", f"{name} self-test", str(error), path=bundle.path, **words)
    return ok("bundles", f"{name} self-test", f"{len(bundle.selftest)} frames answer as they should")


def unfinished(around: Around) -> Iterator[Finding]:
    """What imports and calibrations that were killed left in the store; nothing is said of one that runs."""
    config = around.config
    left = [] if config is None else bundle_store.unfinished(config.bundles_dir)
    if left:
        found = f"{len(left)} of killed imports or calibrations hold {sum(map(size_bytes, left)) / 1e6:.1f} MB"
        yield fault("bundles.unfinished", "unfinished folders", found, option=around.config_option)


def plans(around: Around) -> Iterator[Finding]:
    """Whether each kept plan is of this machine as it is now."""
    kept = list(kept_plans(around.data_dir / "plans"))
    option = around.config_option
    if not kept:
        yield fault("bundles.no-plan", "plans", "none is kept: the default runs", option=option)
    for path, key in kept:
        if isinstance(key, str):
            yield fault("bundles.bad-plan", "plan", f"{path.name} cannot be used: {key}", option=option)
        elif changed := key.machine_differences(machine_now()):
            yield fault("bundles.other-plan", "plan", f"{path.name}: {'; '.join(changed)}", option=option)
        else:
            yield ok("bundles", "plan", f"{path.name}: of this machine")
