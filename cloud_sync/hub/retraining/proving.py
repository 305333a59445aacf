"""The proof as a program of its own, so that it gives way to all else as the training does.

`python -m cloud_sync.hub.retraining.proving JSON` measures and writes the answer; the JSON is a `Question`.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be proven: folders and files as text, limits as the fields of `PromotionLimits`."""

    challenger: str
    champion: str | None
    data: str
    limits: Mapping[str, float | int]
    report: str
    answer: str

    def as_json(self) -> str:
        """As the program reads it."""
        return json.dumps(asdict(self))


def main(arguments: list[str]) -> None:
    """Prove, and write the answer, whole or not at all. Raises DatasetError, ModelError, OSError."""
    from models.promotion.limits import PromotionLimits
    from models.promotion.prove import prove

    question = Question(**json.loads(arguments[0]))
    proof = prove(
        Path(question.challenger),
        None if question.champion is None else Path(question.champion),
        Path(question.data),
        PromotionLimits(**question.limits),  # type: ignore[arg-type]
        Path(question.report),
    )
    answer = Path(question.answer)
    beside = answer.with_name(f".{answer.name}.new")
    beside.write_text(json.dumps(proof.as_json(), allow_nan=False), encoding="utf-8")
    beside.replace(answer)


if __name__ == "__main__":
    main(sys.argv[1:])
