import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from convatlas.data import Preprocess, make_images, open_images, resize
from convatlas.data.images.resize import resize_weights
from convatlas.deploy.lean_exporter import lean_exporter

SIZES = [(37, 53, 32), (300, 200, 96), (28, 28, 28), (28, 28, 32), (7, 500, 16), (1, 1, 8)]


def noise(n, h, w, c, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, h, w, c), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize(("h", "w", "size"), SIZES)
def test_the_resize_is_torchs_antialiased_one(h, w, size):
    x = noise(2, h, w, 3).permute(0, 3, 1, 2).double() / 255
    expected = F.interpolate(x, size=(size, size), mode="bilinear", antialias=True)
    torch.testing.assert_close(resize(x.float(), size).double(), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("h", "w", "size"), SIZES)
def test_the_resize_is_pillows_within_its_rounding(h, w, size):
    x = noise(1, h, w, 1)[0, :, :, 0]
    pillow = Image.fromarray(x.numpy()).resize((size, size), Image.Resampling.BILINEAR)
    ours = resize(x.float(), size)
    assert (ours - torch.from_numpy(np.array(pillow)).float()).abs().max() < 1.01


def slow_weights(length, size):
    """The triangle filter, pixel by pixel."""
    reach = max(1.0, length / size)
    rows = []
    for i in range(size):
        centre = (i + 0.5) * length / size
        row = [max(0.0, 1 - abs(j + 0.5 - centre) / reach) for j in range(length)]
        rows.append([value / sum(row) for value in row])
    return torch.tensor(rows)


@pytest.mark.parametrize(("length", "size"), [(5, 5), (5, 12), (53, 7), (2, 1)])
def test_weights_are_the_triangle_written_out(length, size):
    weights = resize_weights(length, size, torch.device("cpu"))
    torch.testing.assert_close(weights, slow_weights(length, size))
    torch.testing.assert_close(weights.sum(1), torch.ones(size))


def test_an_image_of_the_right_size_passes_unchanged():
    x = noise(1, 28, 28, 1)
    out = Preprocess(1, 28, [0.0], [1.0])(x)
    assert torch.equal(out, x.permute(0, 3, 1, 2) / 255)


def test_normalise_equals_forward_where_nothing_is_resized():
    module = Preprocess(3, 16, [0.1, 0.2, 0.3], [0.5, 0.6, 0.7])
    x = noise(4, 16, 16, 3)
    torch.testing.assert_close(module.normalise(x.permute(0, 3, 1, 2)), module(x))
    by_hand = (x[1, 2, 3, 2] / 255 - 0.3) / 0.7
    torch.testing.assert_close(module(x)[1, 2, 2, 3], by_hand)


def test_images_of_different_sizes_stack_into_one_batch():
    module = Preprocess(3, 16, [0.5] * 3, [0.25] * 3)
    images = [noise(1, h, 20, 3)[0].permute(2, 0, 1) for h in (9, 31)]
    batch = module.stack(images)
    assert batch.shape == (2, 3, 16, 16)
    torch.testing.assert_close(batch[1:], module(images[1].permute(1, 2, 0)[None]))


def test_mean_and_deviation_are_those_of_the_training_images():
    train = open_images("digits").splits["train"].subset(range(500))
    module = Preprocess.fit(train, 1, 28)
    pixels = torch.stack([train.read(i) for i in range(500)]).double() / 255
    torch.testing.assert_close(module.mean.double().flatten(), pixels.mean()[None])
    std = pixels.std(correction=0)[None]
    torch.testing.assert_close(module.std.double().flatten(), std, rtol=1e-5, atol=0)
    normal = module.normalise((pixels * 255).round().to(torch.uint8))
    assert abs(normal.mean()) < 1e-4
    assert abs(normal.std() - 1) < 1e-4


def test_the_full_training_split_agrees_with_the_published_mnist_figures():
    module = Preprocess.fit(open_images("digits").splits["train"], 1, 28)
    assert abs(module.mean.item() - 0.1307) < 0.003  # of the 60,000, LeCun's training set
    assert abs(module.std.item() - 0.3081) < 0.003


def test_a_channel_that_never_varies_is_not_blown_up(tmp_path):
    for label in "ab":
        (tmp_path / label).mkdir()
        for i in range(3):
            Image.new("L", (4, 4), 100).save(tmp_path / label / f"{i}.png")
    module = Preprocess.fit(open_images(tmp_path).splits["train"], 1, 4)
    assert torch.isfinite(module(noise(1, 4, 4, 1))).all()


def test_settings_build_the_same_module_again(tmp_path):
    train = open_images(make_images(tmp_path)).splits["train"]
    module = Preprocess.fit(train, 3, 24)
    again = Preprocess(**module.settings())
    x = noise(2, 40, 30, 3)
    assert torch.equal(module(x), again(x))


def test_wrong_input_is_refused():
    module = Preprocess(3, 16, [0.5] * 3, [0.5] * 3)
    with pytest.raises(
        ValueError, match=r"uint8 \(n, h, w, 3\), got torch.float32 \(1, 16, 16, 3\)"
    ):
        module(torch.zeros(1, 16, 16, 3))
    with pytest.raises(ValueError, match=r"got torch.uint8 \(1, 3, 16, 16\)"):
        module(torch.zeros(1, 3, 16, 16, dtype=torch.uint8))
    with pytest.raises(ValueError, match="must have 3 values"):
        Preprocess(3, 16, [0.5], [0.5])
    with pytest.raises(ValueError, match="std must be above 0"):
        Preprocess(1, 16, [0.5], [0.0])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning")  # torch.export's own use of its pytree
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # onnxscript's own
@pytest.mark.parametrize(
    ("channels", "size", "how"),
    [
        (3, 32, {}),
        (3, 96, {}),
        (1, 28, {}),
        (1, 32, {}),
        (3, 56, {"crop": 0.875, "filter": "bicubic"}),
        (1, 32, {"crop": 0.9, "filter": "bilinear"}),
    ],
)
def test_the_exported_file_agrees_for_any_height_and_width(channels, size, how, tmp_path):
    import onnxruntime

    module = Preprocess(channels, size, [0.45] * channels, [0.25] * channels, **how).eval()
    free = torch.export.Dim.DYNAMIC
    with lean_exporter():
        program = torch.onnx.export(
            module,
            (noise(2, 41, 57, channels),),
            dynamo=True,
            dynamic_shapes=({0: free, 1: free, 2: free},),
            input_names=["image"],
            verbose=False,
        )
    assert program is not None
    program.save(tmp_path / "p.onnx")
    session = onnxruntime.InferenceSession(
        str(tmp_path / "p.onnx"), providers=["CPUExecutionProvider"]
    )
    sizes = [(37, 53), (300, 200), (28, 28), (32, 32), (96, 96), (1, 1), (11, 640)]
    for n, (h, w) in enumerate(sizes, start=1):
        x = noise(n, h, w, channels)
        (found,) = session.run(None, {"image": x.numpy()})
        torch.testing.assert_close(torch.from_numpy(found), module(x), atol=1e-5, rtol=0)
