"""cloud.toml: one file says how the cloud works, and when it trains what. Unknown keys are refused."""

import dataclasses
import difflib
import tomllib
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, model_validator

from cloud_sync.hub.plain import without_password
from cloud_sync.hub.retraining.errors import CloudConfigError
from cloud_sync.hub.retraining.triggers import TriggerRules
from cloud_sync.hub.rollout.plan import RolloutPlan
from models.errors import RequestError
from models.promotion.limits import PromotionLimits

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Id = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
TEMPLATE = "cloud.toml"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _section_of(kind: type, name: str) -> type[_Section]:
    """A section with the fields, types and defaults of a dataclass: they are said once, where they are used."""
    wanted: dict[str, Any] = {field.name: (field.type, field.default) for field in dataclasses.fields(kind)}
    return create_model(name, __base__=_Section, **wanted)


class CloudSection(_Section):
    """Where everything lies, and what a training may take of the machine.

    `store` is a file or a database URL; `blobs` a folder or s3://BUCKET/PREFIX?endpoint=URL, empty: beside the store.
    `folder` holds each run's work; nothing in it is missed. `trust` holds the keys that releases are signed by.
    `nice` 19 gives way to everything else, and `idle` to anything at all; `threads` 0: as many as are granted.
    A worker that was silent for `dead_after_s` is dead to the other workers of its store, which take over its runs.
    """

    store: str = "cloud.db"
    blobs: str = ""
    broker: str = "localhost:8884"
    identity: Path = Path("identity")
    folder: Path = Path("work")
    trust: Path = Path("trust")
    passphrase_file: Path | None = None
    nice: Annotated[int, Field(ge=0, le=19)] = 19
    idle: bool = True
    threads: Annotated[int, Field(ge=0, le=256)] = 0
    dead_after_s: Annotated[float, Field(ge=1, le=3600)] = 30
    keep_runs: Annotated[int, Field(ge=0, le=1000)] = 3
    metrics: str = ""


class WebSection(_Section):
    """Where `cloud web` serves the fleet's pages, and its own database; beside this machine over TLS alone.

    `judged_twice` of the samples are given to a second reviewer too, who does not know what the first one said.
    """

    listen: Annotated[str, Field(pattern=r"^(\[[0-9a-fA-F:]+\]|[^:/\s]+):\d{1,5}$")] = "127.0.0.1:8090"
    database: Path = Path("pages.db")
    certificate: Path | None = None
    key: Path | None = None
    names: list[str] = []
    judged_twice: Annotated[float, Field(ge=0, le=1)] = 0.02


class TriggersSection(_Section):
    """When a product's model is trained anew; fields as in `TriggerRules`."""

    new_labels: Annotated[int, Field(ge=0)] = 50
    drift: bool = True
    overrule_rate: Annotated[float, Field(ge=0, le=1)] = 0.05
    overrules_least: Annotated[int, Field(ge=1)] = 20
    new_class: bool = True
    every_h: Annotated[float, Field(ge=0)] = 0
    cool_down_h: Annotated[float, Field(ge=0)] = 24
    budget_runs_a_week: Annotated[int, Field(ge=0, le=1000)] = 7

    @property
    def rules(self) -> TriggerRules:
        """For the deciding."""
        return TriggerRules(**self.model_dump())


if TYPE_CHECKING:

    class GateSection(_Section):
        """Fields as in `PromotionLimits`."""

    class RolloutSection(_Section):
        """Fields as in `RolloutPlan`."""

else:
    GateSection, RolloutSection = _section_of(PromotionLimits, "gate"), _section_of(RolloutPlan, "rollout")


class ProductSection(_Section):
    """A product whose model is trained here: what its bundle is called, of what kind, and within which limits.

    `champion_station`: new models are measured against its own one until a release is live.
    """

    id: Id
    bundle: Id
    champion_station: Annotated[str, Field(pattern=r"^([a-z0-9][a-z0-9-]{0,62})?$")] = ""
    kind: Literal["anomaly", "classifier", "detector"] = "classifier"
    method: Literal["probe", "finetune"] | None = None
    minutes: Annotated[float, Field(ge=0.1, le=10_000)] | None = None
    size_px: Annotated[int, Field(ge=32, le=2048)] | None = None
    overkill: Annotated[float, Field(ge=0.001, le=0.5)] | None = None
    triggers: TriggersSection = TriggersSection()
    gate: GateSection = GateSection()
    rollout: RolloutSection = RolloutSection()

    @property
    def limits(self) -> PromotionLimits:
        """What a new model must keep to. Raises RequestError where that cannot be."""
        return PromotionLimits(**self.gate.model_dump())

    @property
    def plan(self) -> RolloutPlan:
        """How it goes to the stations. Raises PlanError where that cannot be."""
        return RolloutPlan(**self.rollout.model_dump())

    @model_validator(mode="after")
    def _can_be(self) -> "ProductSection":
        try:
            _ = self.limits, self.plan
        except RequestError as error:
            raise ValueError(str(error)) from error
        return self

    @model_validator(mode="after")
    def _fits_its_kind(self) -> "ProductSection":
        if self.method is not None and self.kind != "classifier":
            raise ValueError(f"method is of a classifier, and kind is {self.kind!r}: leave it out")
        steps = self.kind == "detector" or self.method == "finetune"
        if self.minutes is not None and not steps:
            raise ValueError('minutes are of kind "detector" or method "finetune": leave them out')
        if self.overkill is not None and (self.kind != "classifier" or self.method == "finetune"):
            raise ValueError("overkill sets the threshold of a classifier's probe: leave it out")
        return self


class CloudConfig(_Section):
    """The whole of cloud.toml, checked."""

    cloud: CloudSection = CloudSection()
    web: WebSection = WebSection()
    product: list[ProductSection] = []

    @model_validator(mode="after")
    def _ids_unique(self) -> "CloudConfig":
        for what, ids in (
            ("products", [product.id for product in self.product]),
            ("bundles", [product.bundle for product in self.product]),
        ):
            twice = {name for name in ids if ids.count(name) > 1}
            if twice:
                raise ValueError(f"two {what} are called {min(twice)!r}")
        return self

    def product_of(self, product: str) -> ProductSection:
        """The section of this product. Raises CloudConfigError."""
        for section in self.product:
            if section.id == product:
                return section
        known = ", ".join(section.id for section in self.product) or "none"
        raise CloudConfigError(f"cloud.toml has no product {product!r}: it has {known}")

    @property
    def blobs(self) -> str:
        """Where files lie."""
        from cloud_sync.hub.files.file_desks import blobs_beside

        return self.cloud.blobs or blobs_beside(self.cloud.store)


def load_config(path: Path) -> CloudConfig:
    """Read and check cloud.toml; paths in it are relative to it.

    Raises:
        CloudConfigError: it cannot be read, is no TOML, or a key or value is wrong; the message names all of them.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CloudConfigError(f"cannot read {path}: {error.strerror}: run `cloud init` to write one") from error
    except (ValueError, RecursionError) as error:
        raise CloudConfigError(f"{path} is not valid TOML: {error}") from error
    try:
        config = CloudConfig.model_validate(content)
    except ValidationError as error:
        raise CloudConfigError(f"{path}: " + "; ".join(_explain(detail) for detail in error.errors())) from error
    return _rooted(config, path.absolute().parent)


def write_template(path: Path) -> None:
    """Write a cloud.toml with a comment to each key. Raises CloudConfigError where one is there, OSError."""
    text = resources.files(__package__).joinpath(TEMPLATE).read_text(encoding="utf-8")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise CloudConfigError(f"{path} is there already: remove it, or choose another name") from error


def _rooted(config: CloudConfig, folder: Path) -> CloudConfig:
    cloud = config.cloud
    names = {name: folder / getattr(cloud, name) for name in ("identity", "folder", "trust")}
    places = {name: _rooted_place(getattr(cloud, name), folder) for name in ("store", "blobs")}
    phrase = None if cloud.passphrase_file is None else folder / cloud.passphrase_file
    files = {name: path and folder / path for name, path in _files(config.web).items()}
    update = {
        "cloud": cloud.model_copy(update={**names, **places, "passphrase_file": phrase}),
        "web": config.web.model_copy(update=files),
    }
    return config.model_copy(update=update)


def _files(web: WebSection) -> dict[str, Path | None]:
    return {"database": web.database, "certificate": web.certificate, "key": web.key}


def _rooted_place(place: str, folder: Path) -> str:
    return place if "://" in place or not place else str(folder / place)


def _explain(detail: "ErrorDetails") -> str:
    where = ".".join(str(step) for step in detail["loc"]) or "file"
    if detail["type"] == "extra_forbidden":
        return f"unknown key {where!r}{_nearest(detail['loc'])} (a newer inspectd may know it: install that one again)"
    got = "" if detail["type"] == "missing" else f", got {without_password(repr(detail['input'])):.120}"
    return f"{where}: {detail['msg']}{got}"


def _nearest(location: tuple[int | str, ...]) -> str:
    section: type[BaseModel] = CloudConfig
    for step in location[:-1]:
        section = _SECTIONS.get(str(step), section)
    close = difflib.get_close_matches(str(location[-1]), section.model_fields, n=1, cutoff=0.0)
    known = ", ".join(sorted(section.model_fields))
    return f": did you mean {close[0]!r}? (known here: {known})" if close else ""


_SECTIONS: dict[str, type[BaseModel]] = {
    "cloud": CloudSection,
    "web": WebSection,
    "product": ProductSection,
    "triggers": TriggersSection,
    "gate": GateSection,
    "rollout": RolloutSection,
}
