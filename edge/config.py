"""station.toml: one file says what a station is. Unknown keys are refused, units stand in the names."""

import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, model_validator

from cloud_sync.wire.identity import TRUST_ROOT_FILE
from edge.config_faults import explain
from edge.config_looks import (
    CameraRegion,
    ChecksSection,
    CodeSection,
    MastersSection,
    check_code_region,
    check_zones,
    size_of,
)
from edge.config_outputs import ModbusSection, MqttSection, OutputSection, check_sessions
from edge.config_sync import MetricsSection, ReleaseSection, RetentionSection, SyncSection, TriageSection, WebSection
from edge.domain.errors import ConfigError

StationId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
Id = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
Milliseconds = Annotated[float, Field(gt=0, le=600_000)]
Patience = Annotated[float, Field(ge=50, le=60_000)]
INDUSTRIAL_SOURCES = ("gige://", "genicam://")


def _rectangle(corners: list[float]) -> list[float]:
    left, top, right, bottom = corners
    if left >= right or top >= bottom:
        raise ValueError("a zone is left, top, right, bottom: this one holds nothing, so no defect in it would count")
    return corners


Rectangle = Annotated[list[float], Field(min_length=4, max_length=4), AfterValidator(_rectangle)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class StationSection(_Section):
    """Who this station is and where it keeps its records."""

    id: StationId
    line: str = ""
    site: str = ""
    data_dir: Path = Path("data")


class CameraSection(_Section):
    """One camera: a device index, an address on the network, gige:// or genicam:// and a name, or replayed files."""

    id: Id
    source: int | str
    trigger: Literal["software", "hardware", "free"] = "free"
    trigger_line: str = "Line1"
    exposure_us: Annotated[float, Field(gt=0)] | None = None
    gain_db: float | None = None
    pixel_format: str | None = None
    gentl: Path | None = None
    latency_ms: Annotated[float, Field(ge=0)] = 0
    timeout_ms: Milliseconds = 200
    max_age_ms: Milliseconds = 500
    fps: Annotated[float, Field(gt=0, le=1000)] | None = None
    loop: bool = False
    buffer_frames: Annotated[int, Field(ge=1, le=1024)] = 16
    open_timeout_ms: Patience = 3000
    read_timeout_ms: Patience = 700
    password_file: Path | None = None
    roi: CameraRegion | None = None
    checks: ChecksSection = ChecksSection()

    @model_validator(mode="after")
    def _settings_fit_the_source(self) -> "CameraSection":
        industrial = str(self.source).startswith(INDUSTRIAL_SOURCES)
        own = ("exposure_us", "gain_db", "gentl", "pixel_format", "trigger_line")
        asked = [name for name in own if getattr(self, name) != type(self).model_fields[name].default]
        if asked and not industrial:
            raise ValueError(f"{min(asked)} is set, and only a {' or '.join(INDUSTRIAL_SOURCES)} camera takes it")
        if self.trigger == "hardware" and not industrial:
            raise ValueError(f'trigger "hardware" needs a {" or ".join(INDUSTRIAL_SOURCES)} camera')
        return self


class ClassRule(_Section):
    """When detections of one class make a part a reject: more than `max_count` of them that are big enough."""

    min_score: Annotated[float, Field(ge=0, le=1)] = 0.5
    min_area_px: Annotated[float, Field(ge=0)] = 0
    min_area_mm2: Annotated[float, Field(ge=0)] | None = None
    max_count: Annotated[int, Field(ge=0)] = 0
    zones: list[Rectangle] = []


class RecipeSection(_Section):
    """The rules that turn detections into a verdict; it fits one kind of model and its classes.

    Without `mm_per_px`, areas in square millimetres go by each camera's scale as `edge camera scale` kept it.
    """

    kind: Literal["anomaly", "classifier", "detector"] = "anomaly"
    version: str = "1"
    mm_per_px: Annotated[float, Field(gt=0)] | None = None
    classes: dict[str, ClassRule] = Field(default_factory=lambda: {"anomaly": ClassRule()})

    @model_validator(mode="after")
    def _classes_named(self) -> "RecipeSection":
        if not self.classes:
            raise ValueError("a recipe names at least one class")
        return self

    @property
    def wants_scale(self) -> bool:
        """Whether areas need a camera's own scale."""
        return self.mm_per_px is None and any(rule.min_area_mm2 is not None for rule in self.classes.values())


class ProductSection(_Section):
    """A kind of part, the bundle that looks at it, the recipe that judges it, and a picture of a good one if asked.

    `other_recipes` hold the rules for models of other kinds: only with them is a release of such a kind taken.
    """

    id: Id
    bundle: Id
    reference: Path | None = None
    code: CodeSection | None = None
    masters: MastersSection = MastersSection()
    recipe: RecipeSection = RecipeSection()
    other_recipes: list[RecipeSection] = []

    @model_validator(mode="after")
    def _one_recipe_a_kind(self) -> "ProductSection":
        kinds = [section.kind for section in self.recipes]
        if len(set(kinds)) != len(kinds):
            raise ValueError(f"product {self.id!r} has two recipes of one kind: keep one")
        return self

    @property
    def recipes(self) -> list[RecipeSection]:
        """The rules of the model in use, and those for models of other kinds that a release may bring."""
        return [self.recipe, *self.other_recipes]

    def recipe_for(self, kind: str) -> RecipeSection:
        """The rules for a model of this kind; those of another kind, which will be refused, where there are none."""
        return next((section for section in self.recipes if section.kind == kind), self.recipe)


class LineSection(_Section):
    """The line port: where the line connects and how long it waits for a verdict."""

    port: Annotated[str, Field(pattern=r"^(tcp://(127\.0\.0\.1|localhost):\d{1,5}|unix://.+)$")] = (
        "tcp://127.0.0.1:7411"
    )
    deadline_ms: Milliseconds = 500
    commit_margin_ms: Milliseconds = 60
    ack_timeout_ms: Milliseconds = 2000
    heartbeat_ms: Milliseconds = 1000
    queue_parts: Annotated[int, Field(ge=1, le=4096)] = 64

    @model_validator(mode="after")
    def _margin_fits(self) -> "LineSection":
        if self.commit_margin_ms >= self.deadline_ms:
            raise ValueError(
                f"commit_margin_ms {self.commit_margin_ms:g} must be below deadline_ms {self.deadline_ms:g}"
            )
        return self


class InferenceSection(_Section):
    """How the CPU is used; 0 lets the station choose from the cores it is really granted."""

    threads: Annotated[int, Field(ge=0, le=256)] = 0
    streams: Annotated[int, Field(ge=0, le=64)] = 0
    requests: Annotated[int, Field(ge=0, le=64)] = 0
    timeout_ms: Milliseconds = 2000


class StationConfig(_Section):
    """The whole of station.toml, checked."""

    station: StationSection
    camera: Annotated[list[CameraSection], Field(min_length=1)]
    product: Annotated[list[ProductSection], Field(min_length=1)]
    line: LineSection = LineSection()
    inference: InferenceSection = InferenceSection()
    sync: SyncSection = SyncSection()
    triage: TriageSection = TriageSection()
    release: ReleaseSection = ReleaseSection()
    retention: RetentionSection = RetentionSection()
    metrics: MetricsSection = MetricsSection()
    web: WebSection = WebSection()
    output: list[OutputSection] = []
    _file: Path = PrivateAttr(Path("station.toml"))

    @model_validator(mode="after")
    def _ids_unique(self) -> "StationConfig":
        for what, ids in (
            ("camera", [c.id for c in self.camera]),
            ("product", [p.id for p in self.product]),
            ("output", [o.id for o in self.output]),
        ):
            twice = {name for name in ids if ids.count(name) > 1}
            if twice:
                raise ValueError(f"two {what}s are called {min(twice)!r}")
        return self

    @model_validator(mode="after")
    def _frames_can_come_in_time(self) -> "StationConfig":
        decide_ms = self.line.deadline_ms - self.line.commit_margin_ms
        for camera in self.camera:
            if camera.latency_ms >= decide_ms:
                raise ValueError(
                    f"camera {camera.id!r} has latency_ms {camera.latency_ms:g}, and line.deadline_ms less "
                    f"commit_margin_ms leaves {decide_ms:g}: no part could be decided in time"
                )
        return self

    @model_validator(mode="after")
    def _regions_inside_the_rois(self) -> "StationConfig":
        seen = self.cut_sizes
        for product in self.product:
            code = product.code
            if code is not None and code.roi is not None:
                check_code_region(product.id, code.roi, seen.get(code.camera or self.camera[0].id))
            if len(seen) == len(self.camera):
                zones = [zone for recipe in product.recipes for rule in recipe.classes.values() for zone in rule.zones]
                check_zones(product.id, zones, list(seen.values()))
        return self

    @model_validator(mode="after")
    def _outputs_fit(self) -> "StationConfig":
        known = {product.id for product in self.product}
        check_sessions(self.output, self.sync.broker, self.sync.identity)
        for output in self.output:
            unknown = output.product_ids - known if isinstance(output, ModbusSection) else set()
            if unknown:
                raise ValueError(f"output {output.id!r} names product {min(unknown)!r}, and there is no such product")
        return self

    @property
    def cut_sizes(self) -> dict[str, tuple[int, int]]:
        """(width, height) of the pictures of each camera that has a roi."""
        return {camera.id: size_of(camera.roi) for camera in self.camera if camera.roi is not None}

    def __eq__(self, other: object) -> bool:
        """What it says, wherever it stands."""
        return isinstance(other, StationConfig) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash(self.station.id)

    @property
    def file(self) -> Path:
        """The file it was read from."""
        return self._file

    @property
    def bundles_dir(self) -> Path:
        """Where the station's bundles lie."""
        return self.station.data_dir / "bundles"

    @property
    def cache_dir(self) -> Path:
        """Where graphs lie as they were compiled for this CPU; may be deleted at any time."""
        return self.station.data_dir / "cache"

    @property
    def identity_dir(self) -> Path:
        """Who this station is to the cloud's broker: `ca.crt` and `identity.pem`."""
        return self.sync.identity or self.station.data_dir / "identity"

    @property
    def trust_root_path(self) -> Path:
        """The root that signed releases are checked by: the one that station.toml names, else what enrolment left."""
        return self.sync.trust_root or self.identity_dir / TRUST_ROOT_FILE

    @property
    def trust_dir(self) -> Path:
        """What the station has seen of signed metadata, and the newest of each bundle that it took."""
        return self.station.data_dir / "trust"

    @property
    def database_path(self) -> Path:
        """The station's one database."""
        return self.station.data_dir / "station.db"

    @property
    def images_dir(self) -> Path:
        """Where stored images lie, named by content."""
        return self.station.data_dir / "images"

    @property
    def releases_dir(self) -> Path:
        """Where releases from the cloud lie, whole or half fetched."""
        return self.station.data_dir / "releases"

    @property
    def plans_dir(self) -> Path:
        """Where the plans lie that `edge tune` found."""
        return self.station.data_dir / "plans"

    @property
    def pages_path(self) -> Path:
        """The pages' own database: users, sessions, what was done."""
        return self.station.data_dir / "pages.db"

    @property
    def status_path(self) -> Path:
        """Where the daemon says each second how it is."""
        return self.station.data_dir / "status.json"


def chosen_product(config: StationConfig, product_id: str) -> ProductSection:
    """The product of this id; with none given, the only one. Raises ConfigError."""
    known = {section.id: section for section in config.product}
    if product_id in known:
        return known[product_id]
    if product_id or len(known) > 1:
        raise ConfigError(f"--product must be one of {', '.join(sorted(known))}, got {product_id!r}")
    return config.product[0]


def load_config(path: Path) -> StationConfig:
    """Read and check station.toml; paths in it are relative to it.

    Raises:
        ConfigError: it cannot be read, is no TOML, or a key or value is wrong; the message names all of them.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}: run `edge init` to write one") from error
    except (ValueError, RecursionError) as error:  # no UTF-8, no TOML, a number of 5,000 digits, 1,000 brackets
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
    try:
        config = StationConfig.model_validate(content)
    except ValidationError as error:
        raise ConfigError(
            f"{path}: " + "; ".join(explain(detail, StationConfig) for detail in error.errors())
        ) from error
    config._file = path.absolute()  # noqa: SLF001 - ours: what is read from a file knows which
    return _rooted(config, path.absolute().parent)


def _rooted(config: StationConfig, folder: Path) -> StationConfig:
    station = config.station.model_copy(update={"data_dir": folder / config.station.data_dir})
    cameras = [_rooted_camera(camera, folder) for camera in config.camera]
    products = [
        product if product.reference is None else product.model_copy(update={"reference": folder / product.reference})
        for product in config.product
    ]
    identity = None if config.sync.identity is None else folder / config.sync.identity
    trust_root = None if config.sync.trust_root is None else folder / config.sync.trust_root
    return config.model_copy(
        update={
            "station": station,
            "camera": cameras,
            "product": products,
            "sync": config.sync.model_copy(update={"identity": identity, "trust_root": trust_root}),
            "web": config.web.model_copy(
                update={
                    name: path and folder / path
                    for name, path in (("certificate", config.web.certificate), ("key", config.web.key))
                }
            ),
            "output": [
                _rooted_output(output, folder, identity or station.data_dir / "identity") for output in config.output
            ],
        }
    )


def _rooted_output(output: OutputSection, folder: Path, station_identity: Path) -> OutputSection:
    if not isinstance(output, MqttSection):
        return output
    identity = station_identity if output.identity is None else folder / output.identity
    return output.model_copy(update={"identity": identity})


def _rooted_camera(camera: CameraSection, folder: Path) -> CameraSection:
    source = str(folder / str(camera.source)) if _is_path(camera.source) else camera.source
    password_file = None if camera.password_file is None else folder / camera.password_file
    gentl = None if camera.gentl is None else folder / camera.gentl
    return camera.model_copy(update={"source": source, "password_file": password_file, "gentl": gentl})


def _is_path(source: int | str) -> bool:
    return isinstance(source, str) and "://" not in source and not source.isdecimal()
