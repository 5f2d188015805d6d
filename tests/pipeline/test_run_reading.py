"""A run asked about files reads them as it read its own; the limit of pixels can be raised."""

import numpy as np
import pytest
import torch
from PIL import Image

from convatlas.data.images.stored_reading import Reading
from convatlas.errors import UsageError
from convatlas.pipeline.run import Run, open_run


class Mean(torch.nn.Module):
    def predict(self, images):
        share = torch.stack([image.float().mean() / 255 for image in images])
        return torch.stack([share, 1 - share, 0 * share], 1)


def test_predict_reads_deep_files_by_the_depth_of_the_run(tmp_path, config):
    path = tmp_path / "x.png"
    Image.fromarray(np.full((4, 4), 819, np.uint16)).save(path)
    config.facts |= {"channels": 1, "reading": Reading(whole=(0, 4095)).model_dump()}
    run = Run(tmp_path, config)
    run._predictor = Mean()  # pyright: ignore
    (prediction,) = run.predict([path])
    assert prediction.probabilities[config.facts["classes"][0]] == pytest.approx(0.2, abs=1e-3)


def test_a_run_may_be_asked_about_larger_images(tmp_path, config):
    path = tmp_path / "x.png"
    Image.new("RGB", (20, 10)).save(path)
    config.facts["reading"] = Reading(max_pixels=100).model_dump()
    config.save(tmp_path)
    (refused,) = open_run(tmp_path).predict([path])
    assert "above the limit of 100 pixels; --max-pixels allows more" in refused.error
    run = open_run(tmp_path, max_pixels=200)
    run._predictor = Mean()  # pyright: ignore
    assert run.predict([path])[0].error is None
    assert (
        run.config.facts["reading"]["max_pixels"] == 100
    )  # what the run was made with stays stored
    with pytest.raises(UsageError, match="--max-pixels must lie in"):
        open_run(tmp_path, max_pixels=0)
    with pytest.raises(UsageError, match="'max_pixel' is no option here"):
        open_run(tmp_path, max_pixel=200)
