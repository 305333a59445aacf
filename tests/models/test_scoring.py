from pathlib import Path

import cv2
import numpy as np
import pytest
from station_kit import INPUT, bad_frame, blob_graph, good_frame

from models.compile import compile_graph, cpu_capabilities, usable_threads
from models.errors import ModelError
from models.scoring import score_images
from models.spec import Precision


def test_scores_come_in_the_order_of_the_images_from_arrays_and_files_alike(tmp_path: Path) -> None:
    images = [bad_frame(seed=index) if index % 3 == 0 else good_frame(seed=index) for index in range(30)]
    files = [tmp_path / f"{index}.png" for index in range(30)]
    for image, file in zip(images, files, strict=True):
        cv2.imwrite(str(file), image)
    compiled = compile_graph(blob_graph(), Precision.FP32, threads=2, streams=2)
    steps: list[int] = []
    scored = score_images(compiled, images, INPUT, lambda: steps.append(1))
    assert [score > 0.5 for score in scored.scores] == [index % 3 == 0 for index in range(30)]
    assert scored.maps.shape == (30, 8, 8)
    np.testing.assert_allclose(scored.maps.max(axis=(1, 2)), scored.scores)
    assert len(steps) == 30
    np.testing.assert_array_equal(score_images(compiled, files, INPUT).scores, scored.scores)


def test_nan_is_an_error_even_where_the_score_hides_it() -> None:
    """OpenVINO's maximum skips NaN: the blob graph's score stays finite, its map does not."""
    compiled = compile_graph(blob_graph(nan_above=10.0), Precision.FP32)
    with pytest.raises(ModelError, match="not finite"):
        score_images(compiled, [good_frame()], INPUT)


def test_what_is_no_image_and_no_graph_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.xml").write_text("<net>", encoding="utf-8")
    with pytest.raises(ModelError, match=r"model\.xml"):
        compile_graph(tmp_path / "model.xml", Precision.FP32)
    with pytest.raises(ModelError, match=r"no\.png"):
        score_images(compile_graph(blob_graph(), Precision.FP32), [tmp_path / "no.png"], INPUT)


def test_this_machine_is_known() -> None:
    assert "FP32" in cpu_capabilities()
    assert usable_threads() >= 1
