"""What `edge bundle verify` and `edge bundle import` answered, as far as the page tells it."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, ValidationError


class Model(BaseModel):
    """The version that was made."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: str
    version: int


class Imported(BaseModel):
    """What came of an import; without `model_id` nothing did."""

    model_config = ConfigDict(extra="ignore", frozen=True, protected_namespaces=())

    model_id: Model | None = None
    warnings: tuple[str, ...] = ()


def imported(answer: Mapping[str, object]) -> Imported:
    """What an answer says; what cannot be read of another version's says nothing."""
    try:
        return Imported.model_validate(answer)
    except ValidationError:
        return Imported()


def verified(answer: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    """What a verification found, by name, without whether it was good."""
    if "error" in answer:
        return ()
    return tuple((name, str(value)) for name, value in answer.items() if name != "ok")
