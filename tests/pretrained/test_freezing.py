"""`--freeze` keeps a part of public weights as it is, in the main job."""

import pytest
import torch

import convatlas as ca
from convatlas.data import open_images
from convatlas.errors import UsageError
from convatlas.pipeline.config import Trial
from convatlas.pipeline.freezing import check_freeze, starts_that_freeze
from convatlas.pipeline.trials import LiveTrial, TrialRunner
from convatlas.progress import Silent
from convatlas.search.budget import Budget
from convatlas.search.costed import count_candidate
from convatlas.search.space import Candidate
from convatlas.tasks.classify import TASK
from convatlas.train.recipe import Recipe
from convatlas.train.stop import StopRequest


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"pretrained": "no"}, "--freeze 2 keeps public weights as they are; --pretrained no uses"),
        ({"model": "linear_classifier"}, "--freeze 2"),
        ({"model": "resnet18", "recipe": {"freeze": 9}}, "--freeze 9: ResNet has 5 stages"),
        ({"model": "resnet18", "recipe": {"freeze": "stage.1"}}, r"nearest: stages\.1"),
    ],
)
def test_a_part_that_cannot_be_kept_is_refused_before_anything_is_read(options, says, tmp_path):
    given = {"recipe": {"freeze": 2}, **options}
    with pytest.raises(UsageError, match=says):
        ca.fit(tmp_path / "nothing", task="classify", **given)


def test_only_networks_that_have_the_part_are_started_from(weights):
    assert starts_that_freeze([weights], "none") == [weights]
    assert starts_that_freeze([weights], "4") == [weights]
    with pytest.raises(UsageError, match="--freeze 7: MobileNetV2 has 5 stages"):
        starts_that_freeze([weights], "7")
    with pytest.raises(UsageError, match="--freeze 2: there are no public weights to keep here"):
        starts_that_freeze([], "2")
    check_freeze("none", "no", "linear_classifier")


def test_a_trial_trains_all_but_what_is_frozen(weights, photos):
    data, recipe = open_images(photos), Recipe(epochs=1, freeze="4", batch_size=8)
    runner = TrialRunner(TASK, data, recipe, StopRequest(), Silent())
    options = {"in_channels": 3, "num_classes": 2, **weights.options}
    candidate = Candidate(weights.model, options, {"size": 32}, weights)
    record = Trial(model=candidate.name, options={}, example={"size": 32}, input="32 px")
    trial = LiveTrial(count_candidate(candidate, Budget()), record)
    before = runner.build(trial).state_dict()
    runner.train(trial, None, title="once")
    after = trial.model.state_dict()
    same = {name for name, value in before.items() if torch.equal(value, after[name])}
    assert {name.split(".")[1] for name in same if name.startswith("stages")} == set("0123")
    frozen = {name for name in before if name.startswith("stages") and name[7] in "0123"}
    assert frozen <= same
