"""Images that keep their aspect ratio do so in training, evaluation and the exported file."""

import pytest
import torch
from PIL import Image

import convatlas as ca
from convatlas.data import make_images, open_images
from convatlas.data.images.aspect import usual_aspect
from convatlas.deploy.onnx_file import OnnxFile, export_onnx
from convatlas.errors import UsageError
from convatlas.pipeline.config import Trial
from convatlas.pipeline.trials import LiveTrial, TrialRunner
from convatlas.progress import Silent
from convatlas.search.budget import Budget
from convatlas.search.costed import count_candidate
from convatlas.search.space import Candidate
from convatlas.tasks.classify import TASK
from convatlas.train.recipe import Recipe
from convatlas.train.stop import StopRequest

OPTIONS = {"in_channels": 3, "num_classes": 2, "size": 24}
CANDIDATE = Candidate("linear_classifier", OPTIONS, {"size": 24})


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """Pictures of 24 x 48 pixels and, as many, of 48 x 24."""
    folder = make_images(tmp_path_factory.mktemp("wide"), classes=2, per_class=12, size=48)
    for number, path in enumerate(sorted(folder.rglob("*.png"))):
        with Image.open(path) as image:
            cut = image.crop((0, 12, 48, 36) if number % 2 else (12, 0, 36, 48))
        cut.save(path)
    return open_images(folder)


def runner_of(data, **options):
    return TrialRunner(TASK, data, Recipe(epochs=1), StopRequest(), Silent(), options)


def trial_of(runner):
    words = TASK.form_words(CANDIDATE)
    record = Trial(model=CANDIDATE.name, options={}, example={"size": 24}, input=words)
    return LiveTrial(count_candidate(CANDIDATE, Budget()), record)


def test_only_images_that_are_not_square_are_tried_with_borders(wide):
    assert usual_aspect(wide) == 2.0  # though the median height is the median width
    runner = runner_of(wide)
    trial = trial_of(runner)
    runner.train(trial, None, title="stretched")
    (other,) = runner.other_forms(trial, 3)
    assert other.record.input == "24 px letterbox"
    assert (other.record.figures, other.record.epochs) == ({}, 0.0)
    assert trial.record.figures
    runner.train(other, None, title="letterboxed")
    assert other.record.figures
    assert runner.other_forms(other, 1) == []
    runner.most = 3
    assert runner.other_forms(trial, 3) == []
    for options in ({"resize": "stretch"}, {"resize": "letterbox"}):
        assert runner_of(wide, **options).other_forms(trial, 1) == []
    assert runner_of(open_images("digits")).other_forms(trial, 1) == []


def test_training_evaluation_and_the_exported_file_see_the_same(wide, tmp_path):
    runner = runner_of(wide, resize="letterbox")
    trial = trial_of(runner)
    runner.train(trial, None, title="once")
    facts, settings = wide.facts(), runner.trial_data.settings(CANDIDATE)
    assert len(settings["pad"]) == 3
    TASK.check(facts, settings, type("Run", (), {"options": {}, "figures": {}})())
    (_, how), *_ = TASK.describe_settings(settings, facts)
    assert "letterbox" in how
    predictor = TASK.predictor(trial.model, settings, facts).eval()
    export_onnx(predictor, tmp_path / "m.onnx", metadata={})
    exported, split = OnnxFile(tmp_path / "m.onnx"), wide.splits["val"]
    batches = runner.trial_data.frozen_batches(CANDIDATE, "val", None)
    seen = torch.cat([images for images, _ in batches])
    for row in range(len(split)):
        image = split.read(row).permute(1, 2, 0)[None]
        answer = predictor(image).detach()
        torch.testing.assert_close(exported.run(image), answer, atol=1e-5, rtol=0)
        torch.testing.assert_close(predictor.preprocess(image)[0], seen[row], atol=0.02, rtol=0)
    training = runner.trial_data.train(runner.trial_data.preprocess(CANDIDATE))
    assert training.how == runner.trial_data.preprocess(CANDIDATE).resize


def test_a_way_to_resize_that_is_none_is_refused_before_anything_is_read(tmp_path):
    with pytest.raises(UsageError, match="resize must be one of auto, stretch, letterbox, got"):
        ca.fit(tmp_path / "nothing", task="classify", resize="squash")
