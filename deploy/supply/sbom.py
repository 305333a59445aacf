"""A software bill of materials: CycloneDX 1.6 as JSON, the same bytes for the same locks and commit."""

import json
import uuid
from dataclasses import dataclass
from datetime import datetime

from supply.licences import Licence
from supply.locks import installed, needs

_NAMESPACE = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")  # RFC 9562's for URLs


@dataclass(frozen=True, slots=True)
class Product:
    """What is released: its part (the Debian package), version, requirements of its own, and when it was committed."""

    part: str
    version: str
    requires: tuple[str, ...]
    at: datetime

    @property
    def purl(self) -> str:
        """Its package URL."""
        return f"pkg:pypi/inspectd@{self.version}"


def bill(product: Product, found: list[Licence]) -> bytes:
    """The bill of one part: a component for each pin, with licence, hashes and what it depends on."""
    components = [_component(each) for each in found]
    content: dict[str, object] = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"timestamp": product.at.isoformat(), "component": _product(product)},
        "components": components,
        "dependencies": _dependencies(product, found),
    }
    named = uuid.uuid5(_NAMESPACE, json.dumps(content, sort_keys=True))
    return (json.dumps(content | {"serialNumber": f"urn:uuid:{named}"}, indent=1, sort_keys=True) + "\n").encode()


def _product(product: Product) -> dict[str, object]:
    return {
        "type": "application",
        "bom-ref": product.purl,
        "name": "inspectd",
        "version": product.version,
        "purl": product.purl,
        "description": f"what the Debian package {product.part} installs",
        "licenses": [{"license": {"id": "Apache-2.0"}}],
    }


def _component(licence: Licence) -> dict[str, object]:
    pin = licence.pin
    bundles = [{"name": "inspectd:bundles", "value": value} for value in licence.bundles]
    component: dict[str, object] = {
        "type": "library",
        "bom-ref": pin.purl,
        "name": pin.name,
        "version": pin.version,
        "purl": pin.purl,
        "licenses": [{"expression": licence.expression}],
        "hashes": [{"alg": "SHA-256", "content": digest} for digest in pin.hashes],
    }
    return component | {"properties": bundles} if bundles else component


def _dependencies(product: Product, found: list[Licence]) -> list[dict[str, object]]:
    refs = {each.pin.name: each.pin.purl for each in found}
    own = needs(list(product.requires))
    listed = [(product.purl, own)] + [(each.pin.purl, needs(installed(each.pin).requires or [])) for each in found]
    return [{"ref": ref, "dependsOn": sorted(refs[name] for name in names if name in refs)} for ref, names in listed]
