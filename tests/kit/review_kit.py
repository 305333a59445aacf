"""A store with samples to review, and the fleet's pages on it."""

from collections.abc import Sequence
from pathlib import Path

from fastapi import FastAPI
from labels_kit import PRODUCT, blobs_of, declare, have_file, images, picture, receive, sample

from cloud_sync.hub.labels.projecting import catch_up
from cloud_sync.hub.retraining.cloud_toml import load_config
from cloud_sync.hub.store.writing import StoreWriter
from cloud_sync.hub.web.site import make_fleet_pages
from cloud_sync.pages.serving import Listen

CLASSES = ("dent", "scratch")


def store_with(folder: Path, reasons: Sequence[Sequence[str]]) -> str:
    """A store with one sample for each, inspections 1 and on; the pictures are beside it."""
    place = str(folder / "cloud.db")
    StoreWriter(place).close()
    blobs = blobs_of(place, folder)
    for number, why in enumerate(reasons, 1):
        content = picture(number, 96, 64)
        receive(place, sample(number, number, why), images(number, {"top": content}))
        have_file(place, blobs, content, number)
    catch_up(place)
    declare(place, *CLASSES)
    return place


def pages_on(folder: Path, judged_twice: float = 0.0, kind: str = "classifier") -> FastAPI:
    """The fleet's pages on the store of a folder."""
    toml = folder / "cloud.toml"
    product = f'[[product]]\nid = "{PRODUCT}"\nbundle = "{PRODUCT}"\nkind = "{kind}"\n'
    toml.write_text(f'[cloud]\nstore = "cloud.db"\n[web]\njudged_twice = {judged_twice}\n{product}')
    return make_fleet_pages(load_config(toml), Listen())
