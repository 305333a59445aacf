"""The bills of materials are valid, whole, and the same each time."""

import json
import lzma
from datetime import UTC, datetime
from pathlib import Path

import pytest
from jsonschema import Draft7Validator
from referencing import Registry, Resource
from supply.artefacts import read_project
from supply.licences import licences
from supply.locks import read_lock
from supply.sbom import Product, bill

ROOT = Path(__file__).parents[2]
SCHEMAS = Path(__file__).parent / "cyclonedx-1.6"
AT = datetime(2026, 11, 26, tzinfo=UTC)


def official_faults(document: object) -> list[str]:
    contents = {path.name: json.loads(lzma.decompress(path.read_bytes())) for path in SCHEMAS.glob("*.xz")}
    base = "http://cyclonedx.org/schema/"
    registry = Registry().with_resources(
        (f"{base}{name.removesuffix('.schema.json.xz')}.SNAPSHOT.schema.json", Resource.from_contents(content))
        for name, content in contents.items()
    )
    schema = Draft7Validator(contents["bom-1.6.schema.json.xz"], registry=registry)
    return [f"{error.json_path}: {error.message[:200]}" for error in schema.iter_errors(document)]


def made(part: str) -> bytes:
    requires = tuple(read_project(ROOT)["dependencies"])  # type: ignore[arg-type]
    return bill(
        Product(part, "0.1.0", requires, AT), licences(read_lock(ROOT / f"deploy/requirements/hashed/{part}.txt"))
    )


@pytest.mark.parametrize("part", ["inspectd", "inspectd-hub"])
def test_a_bill_is_valid_by_cyclonedx_own_schema(part: str) -> None:
    assert official_faults(json.loads(made(part))) == []


def test_the_schema_refuses_what_is_none() -> None:
    wrong = json.loads(made("inspectd"))
    wrong["components"][0]["hashes"][0]["content"] = "short"
    assert official_faults(wrong) != []


def test_a_bill_names_every_pin_with_licence_hashes_and_what_it_needs() -> None:
    content = json.loads(made("inspectd"))
    pins = read_lock(ROOT / "deploy/requirements/hashed/inspectd.txt")
    needed = {each["ref"]: each["dependsOn"] for each in content["dependencies"]}

    assert [each["purl"] for each in content["components"]] == [pin.purl for pin in pins]
    assert all(each["licenses"] and each["hashes"] for each in content["components"])
    assert any(ref.startswith("pkg:pypi/openvino@") for ref in needed["pkg:pypi/inspectd@0.1.0"])
    assert any("pydantic-core@" in ref for ref in needed[next(ref for ref in needed if "/pydantic@" in ref)])


def test_two_bills_of_the_same_lock_and_commit_are_the_same_bytes() -> None:
    assert made("inspectd-hub") == made("inspectd-hub")
