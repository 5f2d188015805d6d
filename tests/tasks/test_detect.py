"""The task of detection: its options, which networks take part, and what they are given."""

import pytest
import torch

from convatlas.errors import UsageError
from convatlas.models.detect.detector import OneStage
from convatlas.models.on_shapes import on_shapes
from convatlas.models.registry import find_entry
from convatlas.progress import Silent
from convatlas.search.priority import estimate
from convatlas.search.space import distinct_architectures
from convatlas.tasks import find_task, recognise_task
from convatlas.tasks.box_networks import box_scales, box_sizes

NAMES = [entry.name for entry in distinct_architectures("detect")]


@pytest.fixture(scope="module")
def data(tmp_path_factory, shapes):
    folder = shapes.make_shapes(tmp_path_factory.mktemp("boxes") / "shapes", 12)
    assert recognise_task(folder).name == "detect"
    task = find_task("detect")
    return task.open(folder, seed=0, max_broken=0, options={}, progress=lambda *_: None)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"augmentation": "wild"}, "augmentation must be one of none, flip, photo, ssd"),
        ({"metric": "accuracy"}, "metric must be one of map_50_95, map_50, got 'accuracy'"),
        ({"augmentaton": "none"}, "nearest: augmentation"),
    ],
)
def test_options_are_checked_before_any_work(options, says):
    with pytest.raises(UsageError, match=says):
        find_task("detect").check_options(options)


def test_sizes_and_scales_are_those_of_the_data(data):
    assert box_sizes(data) == [64]
    low, high = box_scales(data)
    train = torch.cat([each.corners for each in data.splits["train"].targets])
    shares = ((train[:, 2] - train[:, 0]) * (train[:, 3] - train[:, 1]) / (56 * 64)).sqrt()
    assert shares.min() - 1e-3 <= low < high
    assert high == pytest.approx(2 * low, abs=2e-3)  # squares of much the same size


@pytest.mark.parametrize("name", NAMES)
def test_each_network_has_a_cost_to_guess_and_answers_at_each_anchor(data, name):
    task = find_task("detect")
    (sweep,) = task.fresh([find_entry(name)], data, fixed_width=False)[name]
    for candidate in (sweep[0], sweep[-1]):
        guess = estimate(candidate)
        assert guess is not None, name
        assert guess.macs > 0
    with on_shapes():
        network = sweep[-1].build().eval()
        inputs = sweep[-1].inputs(network)
        answers, boxes = network(*inputs), network.detect(*inputs)[0]
    if isinstance(network, OneStage):
        logits, offsets = answers
        places = len(network.anchors(64, 64))
        assert logits.shape == (1, places, network.outputs)
        assert offsets.shape == (1, places, 4)
    assert boxes.shape == (1, network.max_detections, 4)
    assert (network.num_classes, network.in_channels) == (2, 1)


@pytest.mark.parametrize(
    "name", ["ssdlite_mobilenet_v3_small", "spinenet49xs_mobile_retinanet", "thundernet_snet49"]
)
def test_trial_data_train_and_judge_a_network(data, name):
    task = find_task("detect")
    trial = task.trial_data(data, task.recipe, {"metric": "map_50"}, Silent())
    (sweep,) = task.fresh([find_entry(name)], data, fixed_width=False)[name]
    candidate = sweep[-1]
    torch.manual_seed(0)
    network = candidate.build().train()
    training = trial.training(candidate, task.recipe, judged=None)
    batches, validation = training.loaders(4, 0)
    loss = training.loss(network, next(iter(batches)))
    loss.backward()
    assert all(
        part.grad is not None and part.grad.isfinite().all() for part in network.parameters()
    )
    figures = training.validate(network, validation, lambda values: values)
    assert set(figures) == {"val_loss", "val_map_50", "val_map_50_95"}
    assert training.metric.key == "map_50"
