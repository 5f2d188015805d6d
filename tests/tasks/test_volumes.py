"""Stacks as volumes: what networks in three dimensions learn from, answer and are judged by."""

import numpy as np
import pytest
import torch

from convatlas.data.slice_names import parse_slice
from convatlas.errors import UsageError
from convatlas.models import find_entry
from convatlas.models.on_shapes import on_shapes
from convatlas.models.segment.unet3d import UNet3D
from convatlas.progress import Silent
from convatlas.tasks import find_task

TASK = find_task("segment")
SHAPE = (14, 24, 20)  # slices, height, width


@pytest.fixture
def stack(tmp_path):
    masks = np.zeros(SHAPE, np.uint8)
    masks[:, 6:15, 4:13] = 1
    noise = np.random.default_rng(0).integers(0, 40, SHAPE)
    np.savez(tmp_path / "em.npz", image=(60 + 120 * masks + noise).astype(np.uint8), mask=masks)
    return tmp_path / "em.npz"


def opened(source, **options):
    return TASK.open(source, seed=0, max_broken=0, options=options, progress=lambda *_: None)


def network():
    return UNet3D.tiny(in_channels=1, num_classes=2)[0].eval()


def predictor(data):
    return TASK.predictor(network(), {"mean": [0.4], "std": [0.2], "reduce": 1}, data.facts())


def test_volumes_are_for_networks_of_three_dimensions_and_images_for_the_others(stack):
    volumes, images = opened(stack, stacks="volumes"), opened(stack)
    assert volumes.facts() == {**images.facts(), "depth": 10}
    flat, deep = find_entry("unet_small"), find_entry("unet3d_padded")
    assert list(TASK.fresh([flat, deep], volumes, fixed_width=False)) == ["unet3d_padded"]
    assert list(TASK.fresh([flat, deep], images, fixed_width=False)) == ["unet_small"]
    candidate = TASK.fresh([deep], volumes, fixed_width=True)["unet3d_padded"][0][0]
    assert candidate.example == {"size": 24, "depth": 16}
    with on_shapes():
        (example,) = candidate.inputs(candidate.build(), 2)
    assert example.shape == (2, 1, 16, 24, 24)
    assert TASK.input_words(candidate.example) == "16 x 24 x 24 window"
    with pytest.raises(UsageError, match="unet3d_padded: reads volumes; --set stacks=volumes"):
        TASK.fresh([deep], images, fixed_width=True)
    with pytest.raises(UsageError, match="unet_small: reads images; without --set stacks"):
        TASK.fresh([flat], volumes, fixed_width=True)
    with pytest.raises(UsageError, match="stacks must be slices or volumes"):
        TASK.check_options({"stacks": "whole"})


def test_windows_of_volumes_are_learned_from_and_every_voxel_validates(stack):
    data = opened(stack, stacks="volumes")
    candidate = TASK.fresh([find_entry("unet3d_padded")], data, fixed_width=True)
    candidate = candidate["unet3d_padded"][-1][-1]
    trial = TASK.trial_data(data, TASK.recipe, {"border_weight": 3}, Silent())
    training = trial.training(candidate, TASK.recipe, judged=None)
    batches, validation = training.loaders(2, 0)
    torch.manual_seed(0)
    images, masks, weights = next(iter(batches))
    assert images.shape == (2, 1, 16, 24, 24)
    assert masks.shape == weights.shape == (2, 16, 24, 24)
    known = masks < 2
    assert int(known.flatten(1).any(1).sum()) == 2
    model = network().train()
    loss = training.loss(model, (images, masks, weights))
    loss.backward()
    assert torch.isfinite(loss)
    counted = sum(int((truth < 2).sum()) for _, truth in validation)
    assert counted == 2 * 24 * 20  # the two slices that validate
    assert 0 <= training.validate(model, validation, lambda x: x)["val_mean_iou"] <= 1


def test_answers_and_figures_are_those_of_slices(stack):
    data = opened(stack, stacks="volumes")
    judge, split = predictor(data), data.splits["test"]
    evaluation = TASK.evaluate(judge, split, data.facts(), Silent())
    assert evaluation.files == split.files
    assert [parse_slice(file).place for file in split.files] == [12, 13]
    volume = torch.stack([split.read(place)[0] for place in range(2)])[..., None]
    (answer,) = judge.predict([volume])
    truth = torch.from_numpy(np.load(stack)["mask"][12:])
    for place in range(2):
        assert int(evaluation.counts[place].diagonal().sum()) == int(
            (answer.mask[place] == truth[place]).sum()
        )
    assert torch.equal(evaluation.shown[evaluation.telling[0]], answer.mask[evaluation.telling[0]])
    (sample,) = TASK.sample(split, 4)
    assert torch.equal(sample, volume)
    assert TASK.small(torch.zeros(40, 300, 200, 1)).shape == (32, 160, 160, 1)


def test_a_stack_is_answered_as_a_whole_and_told_slice_by_slice(stack, tmp_path):
    data = opened(stack, stacks="volumes")
    judge = predictor(data)
    pixels = np.load(stack)["image"]
    (expected,) = judge.predict([torch.from_numpy(pixels)[..., None]])
    for asked in (stack, pixels):
        total, answers = TASK.predict(lambda: judge, asked, data.facts(), Silent())
        answers = list(answers)
        assert total == len(answers) == 14
        for place, answer in enumerate(answers):
            assert torch.equal(answer.mask, expected.mask[place])
    assert answers[3].file == "volume[3]"
    (broken,) = TASK.predict(lambda: judge, tmp_path / "gone.npy", data.facts(), Silent())[1]
    assert "no such file" in broken.error


def test_a_stored_split_is_one_of_volumes_again(stack, tmp_path):
    data = opened(stack, stacks="volumes")
    data.save(tmp_path / "split.json")
    again = TASK.reopen(tmp_path / "split.json", None, data.facts())
    assert again.facts() == data.facts()
    assert TASK.sample(again.splits["test"], 1)[0].shape == (2, 24, 20, 1)
    judged = TASK.open_test(stack, data.facts(), max_broken=0, progress=lambda *_: None)
    assert TASK.sample(judged.splits["test"], 1)[0].shape == (14, 24, 20, 1)
