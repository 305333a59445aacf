"""What a wrong station.toml is told, from what pydantic found."""

import difflib
from typing import get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from edge.config_outputs import OutputSection
from edge.domain.secrets import redacted


def explain(detail: ErrorDetails, file: type[BaseModel]) -> str:
    """One fault in words: where, what was expected, what came; of an unknown key the nearest known one.

    Args:
        detail: as pydantic gives it.
        file: the model of the whole file.
    """
    where = ".".join(str(step) for step in detail["loc"]) or "file"
    if detail["type"] == "extra_forbidden":
        nearest = _nearest(file, detail["loc"])
        return f"unknown key {where!r}{nearest} (a newer inspectd may know it: install that one again)"
    got = "" if detail["type"] == "missing" else f", got {redacted(repr(detail['input'])):.120}"
    return f"{where}: {detail['msg']}{got}"


def _nearest(file: type[BaseModel], location: tuple[int | str, ...]) -> str:
    known = _keys_at(file, location[:-1])
    close = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0.0)
    return f": did you mean {close[0]!r}? (known here: {', '.join(known)})" if close else ""


def _keys_at(section: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    steps = list(location)
    while steps:
        step = steps.pop(0)
        annotation = section.model_fields[str(step)].annotation
        inner = _section_in(annotation)
        if inner is None:
            return []
        if steps and (isinstance(steps[0], int) or get_origin(annotation) is dict):
            steps.pop(0)
        if step == "output" and steps:  # pydantic names the kind of section next
            kind = steps.pop(0)
            inner = next((kind_ for kind_ in get_args(OutputSection)[0].__args__ if _is_kind(kind_, kind)), inner)
        section = inner
    return sorted(section.model_fields)


def _is_kind(section: type[BaseModel], kind: int | str) -> bool:
    return kind in get_args(section.model_fields["kind"].annotation)


def _section_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for inner in get_args(annotation) if (found := _section_in(inner))), None)
