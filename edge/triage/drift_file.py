"""The file in which the station keeps what drift is told by, as it is read and written; see `drift_book`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from cloud_sync.wire.records import Sha256
from edge.decide.drift import BLOCK_PARTS, LEAST_SPREAD, REFERENCE_BLOCKS, OverruleWatch, Reference, Sign, Watch

Key = tuple[str, str, Sign]
_Parts = Annotated[int, Field(ge=0)]
_Sum = Annotated[float, Field(ge=0)]
_Positive = Annotated[float, Field(gt=0)]


@dataclass(slots=True)
class Watched:
    """What is watched of one product.

    Args:
        sha256: of the model that it was learned with.
        watches: by camera and sign.
        overrules: what people say.
    """

    sha256: str
    watches: dict[tuple[str, Sign], Watch] = field(default_factory=dict)
    overrules: OverruleWatch = field(default_factory=OverruleWatch)


@dataclass(frozen=True, slots=True)
class Kept:
    """All that is kept: the products by id, and since when which alarm is open."""

    products: dict[str, Watched]
    since: dict[Key, datetime]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class _Reference(_Entry):
    centre: float
    spread: _Positive
    mean: float
    scatter: _Positive


class _Watch(_Entry):
    camera: str
    sign: Literal[Sign.SCORE, Sign.BRIGHTNESS, Sign.FOCUS]
    reference: _Reference | None
    values: Annotated[list[float], Field(max_length=BLOCK_PARTS * REFERENCE_BLOCKS)]
    up: _Sum
    down: _Sum
    calm: _Sum
    alarm: bool
    parts: _Parts


class _Product(_Entry):
    sha256: Sha256
    watches: list[_Watch]
    overrule_sum: _Sum
    overrule_alarm: bool
    parts: _Parts


class _File(_Entry):
    schema_: Literal["inspectd.drift-book.v1"] = Field("inspectd.drift-book.v1", alias="schema")
    products: dict[str, _Product]
    since: list[tuple[str, str, Sign, datetime]]


def written(products: Mapping[str, Watched], since: Mapping[Key, datetime]) -> str:
    """The file's text."""
    content = _File(
        schema="inspectd.drift-book.v1",
        products={name: _written(product) for name, product in products.items()},
        since=[(*key, at) for key, at in since.items()],
    )
    return content.model_dump_json(by_alias=True)


def read(text: bytes) -> Kept:
    """What a file says. Raises ValueError (pydantic's ValidationError) for one that is none."""
    content = _File.model_validate_json(text)
    products = {name: _read(product) for name, product in content.products.items()}
    return Kept(products, {(product, camera, sign): at for product, camera, sign, at in content.since})


def _written(product: Watched) -> _Product:
    told = product.overrules
    return _Product(
        sha256=product.sha256,
        watches=[_written_watch(*key, watch) for key, watch in product.watches.items()],
        overrule_sum=told.statistic,
        overrule_alarm=told.alarm,
        parts=told.parts,
    )


def _written_watch(camera: str, sign: Sign, watch: Watch) -> _Watch:
    known = watch.reference
    reference = None
    if known is not None:
        reference = _Reference(centre=known.centre, spread=known.spread, mean=known.mean, scatter=known.scatter)
    return _Watch.model_validate(
        {
            "camera": camera,
            "sign": sign,
            "reference": reference,
            "values": watch.values,
            "up": watch.up,
            "down": watch.down,
            "calm": watch.calm,
            "alarm": watch.alarm,
            "parts": watch.parts,
        }
    )


def _read(product: _Product) -> Watched:
    watches: dict[tuple[str, Sign], Watch] = {
        (entry.camera, entry.sign): _read_watch(entry) for entry in product.watches
    }
    return Watched(product.sha256, watches, OverruleWatch(product.overrule_sum, product.overrule_alarm, product.parts))


def _read_watch(entry: _Watch) -> Watch:
    known = entry.reference
    return Watch(
        LEAST_SPREAD[entry.sign],
        None if known is None else Reference(known.centre, known.spread, known.mean, known.scatter),
        list(entry.values),
        entry.up,
        entry.down,
        entry.calm,
        entry.alarm,
        entry.parts,
    )
