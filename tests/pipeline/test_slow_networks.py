"""A network that is slow against its time gets smaller steps and fewer images that judge it."""

import torch
from torch import nn

from convatlas.data import open_images
from convatlas.pipeline.config import Trial
from convatlas.pipeline.slow_networks import (
    FORWARD_FRACTION,
    MIN_BATCH,
    MIN_STEPS,
    MIN_VALIDATED,
    batch_within,
    validated_within,
)
from convatlas.pipeline.trials import LiveTrial, TrialRunner
from convatlas.progress import Silent
from convatlas.search.costed import CostedCandidate
from convatlas.search.space import Candidate
from convatlas.tasks.classify import TASK
from convatlas.train.recipe import Recipe
from convatlas.train.stop import StopRequest


def test_a_quick_network_has_the_batch_of_the_recipe_and_all_images():
    assert batch_within(64, 60, step_s=1e-4) == 64
    assert validated_within(300, 60, step_s=1e-4) == 300


def test_a_round_has_steps_enough_for_a_slow_network():
    batch = batch_within(64, seconds=40, step_s=0.125)
    assert batch == 16
    assert batch * MIN_STEPS * 0.125 <= 40
    assert batch_within(64, seconds=1, step_s=10.0) == MIN_BATCH


def test_validation_takes_a_quarter_of_a_round_at_the_most():
    images = validated_within(10_000, seconds=40, step_s=0.3)
    assert images * 0.3 * FORWARD_FRACTION <= 10 < (images + 1) * 0.3 * FORWARD_FRACTION
    assert validated_within(10_000, seconds=1, step_s=10.0) == MIN_VALIDATED
    assert validated_within(20, seconds=1, step_s=10.0) == 20


class Counts(nn.Module):
    """Notes how many images it is asked about in evaluation mode, and the largest batch else."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(64, 10)
        self.example = lambda batch, size: torch.rand(batch, 1, size, size)
        self.asked, self.largest = 0, 0

    def forward(self, x):
        if self.training:
            self.largest = max(self.largest, len(x))
        else:
            self.asked += len(x)
        return self.layer(x.flatten(1))


def test_the_same_images_judge_it_in_every_round_and_it_is_said():
    said = []

    class Says(Silent):
        def say(self, text):
            said.append(text)

    runner = TrialRunner(TASK, open_images("digits"), Recipe(epochs=0.02), StopRequest(), Says())
    candidate = Candidate("lenet5", {"in_channels": 1}, {"size": 8})
    record = Trial(
        model="lenet5", options={}, example={"size": 8}, input="8 px", status="not trained"
    )
    trial = LiveTrial(CostedCandidate(candidate, None), record, model=Counts())
    runner.speeds._step_s[candidate] = 1.0  # seconds an image, were it so slow
    judged = []
    for _ in range(2):
        runner.train(trial, 5.0, title="slow")
        task = runner.trial_data.training(candidate, runner.recipe, record.validated)
        judged.append(task.loaders(8, 0)[1].dataset)
    assert trial.model.largest == MIN_BATCH
    assert trial.model.asked <= 2 * (MIN_VALIDATED + 16 * MIN_BATCH)
    assert [len(d) for d in judged] == [MIN_VALIDATED] * 2
    assert record.validated == MIN_VALIDATED
    assert record.reason.startswith("validated on 32 of ")
    assert trial.recipe.batch_size == MIN_BATCH
    assert torch.equal(
        torch.stack([x for x, _ in judged[0]]), torch.stack([x for x, _ in judged[1]])
    )
    assert len([text for text in said if "validated on 32 of " in text]) == 1
