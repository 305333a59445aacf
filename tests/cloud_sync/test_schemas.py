import json

import pytest
from outboxes import images, inspection, outcome

from cloud_sync.wire.records import ImagesRecord, InspectionRecord, OutcomeRecord
from cloud_sync.wire.schemas import FOLDER, schemas


def test_the_files_are_those_of_the_models() -> None:
    on_disk = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")}

    assert on_disk == schemas(), "run `python -m cloud_sync.wire.schemas`"


@pytest.mark.parametrize(
    ("name", "payload", "model"),
    [
        pytest.param("inspection.v1.json", inspection(1).payload, InspectionRecord, id="inspection"),
        pytest.param("outcome.v1.json", outcome(1).payload, OutcomeRecord, id="outcome"),
        pytest.param("images.v1.json", images(1).payload, ImagesRecord, id="images"),
    ],
)
def test_a_record_has_the_members_its_schema_names(
    name: str, payload: bytes, model: type[InspectionRecord | OutcomeRecord | ImagesRecord]
) -> None:
    schema = json.loads(schemas()[name])

    assert set(json.loads(payload)) == set(schema["properties"])
    assert schema["additionalProperties"] is False
    model.model_validate_json(payload, strict=True)
