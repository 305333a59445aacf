"""The reviewer says of each labelled part what the data set says, and nothing of any other."""

from typing import Any

import pytest

from edge.demo.reviewer import answers
from edge.demo.settings import DEFECT

PARTS = {"part-1": 0.0, "part-2": 0.333, "part-3": 0.667, "part-4": 1.0}


def exported(*parts: str) -> dict[str, Any]:
    images = [
        {"id": number, "file_name": f"{number}.png", "width": 300, "height": 200, "inspectd": {"part_id": part}}
        for number, part in enumerate(parts, 1)
    ]
    return {"images": images, "annotations": [], "categories": [{"id": 7, "name": "good"}]}


def said(answered: dict[str, Any]) -> dict[str, str]:
    names = {category["id"]: category["name"] for category in answered["categories"]}
    parts = {image["id"]: image["inspectd"]["part_id"] for image in answered["images"]}
    return {parts[one["image_id"]]: names[one["category_id"]] for one in answered["annotations"]}


def test_each_part_gets_what_the_experts_said() -> None:
    answered = answers(exported(*PARTS), PARTS)
    assert said(answered) == {"part-1": "good", "part-2": "unsure", "part-3": "unsure", "part-4": DEFECT}


def test_a_part_that_is_kept_for_the_end_is_never_labelled() -> None:
    answered = answers(exported("part-1", "before-1", "after-1", "line1-1"), PARTS)
    assert said(answered) == {"part-1": "good"}
    assert [image["file_name"] for image in answered["images"]] == ["1.png"]


def test_a_label_is_of_the_whole_image() -> None:
    one = answers(exported("part-4"), PARTS)["annotations"][0]
    assert one["bbox"] == [0, 0, 300, 200]
    assert one["attributes"] == {"image_level": True}


@pytest.mark.parametrize("part", list(PARTS))
def test_every_annotation_has_its_image_and_category(part: str) -> None:
    answered = answers(exported(part), PARTS)
    assert {one["image_id"] for one in answered["annotations"]} == {image["id"] for image in answered["images"]}
