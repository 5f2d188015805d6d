"""Masks of any size: mirrored and cut as NumPy does it, window by window as at once, exported."""

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn
from torch.nn import functional

from convatlas.deploy.onnx_file import OnnxFile, export_onnx
from convatlas.deploy.parity import check_parity
from convatlas.deploy.segmenter import MaskPredictor, Segmented, as_segmenter
from convatlas.deploy.windows import Windows, slide
from convatlas.errors import UsageError
from convatlas.models.segment.segmenter import Segmenter
from convatlas.models.segment.unet import UNet

CLASSES = ("other", "cell", "border")


class Blur(Segmenter):
    """Means of 5 x 5 (x 5) pixels without padding, on a grid of `stride`."""

    def __init__(self, dims=2, stride=1, multiple=1):
        super().__init__()
        self.in_channels, self.num_classes, self.dims = 1, 2, dims
        self.margin, self.output_stride, self.size_multiple = 2, stride, multiple
        self.size_offset = 4
        self.weight = nn.Parameter(torch.tensor([1.0, -1.0]))

    def forward(self, x):
        self.check(x)
        pool = functional.avg_pool3d if self.dims == 3 else functional.avg_pool2d
        y = pool(x, 5, 1)
        y = pool(y, self.output_stride) if self.output_stride > 1 else y
        return y * self.weight.reshape(2, *[1] * self.dims)


def made(network, **options):
    torch.manual_seed(0)
    mean = [0.4] * network.in_channels
    return MaskPredictor(network, mean, [0.2] * network.in_channels, CLASSES, **options)


def image(*shape, seed=0):
    """Coarse squares with noise, as uint8."""
    random = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 1, *[-(-side // 7) for side in shape[:-1]], generator=random)
    large = functional.interpolate(coarse, scale_factor=7.0)[0, 0]
    for axis, side in enumerate(shape[:-1]):
        large = large.narrow(axis, 0, side)
    noise = torch.rand(shape, generator=random)
    return (255 * (0.7 * large[..., None] + 0.3 * noise)).to(torch.uint8)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 17), (40, 9)])
def test_an_image_of_any_size_is_mirrored_as_numpy_does_it(height, width):
    predictor = made(Blur())
    x = image(height, width, 1)
    _, probabilities = predictor(x[None])
    padded = np.pad(x[..., 0].numpy() / 255, 2, mode="symmetric")
    blurred = np.lib.stride_tricks.sliding_window_view(padded, (5, 5)).mean((2, 3))
    expected = 1 / (1 + np.exp(-2 * (blurred - 0.4) / 0.2))
    np.testing.assert_allclose(probabilities[0, 0].detach().numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("reduce", [1, 3])
@pytest.mark.parametrize("stride", [1, 4])
def test_answers_have_the_size_of_the_image_whatever_the_network_reduces(reduce, stride):
    predictor = made(Blur(stride=stride, multiple=8), reduce=reduce)
    for height, width in ((1, 50), (33, 64), (90, 31)):
        mask, probabilities = predictor(image(height, width, 1)[None])
        assert mask.shape == (1, height, width)
        assert mask.dtype == torch.uint8
        assert probabilities.shape == (1, 2, height, width)
    halves = torch.zeros(60, 60, 1, dtype=torch.uint8)
    halves[:, 30:] = 255
    mask, _ = predictor(halves[None])
    edge = (mask[0, 30] == 0).float().argmax()  # the answer's edge stands where the image's does
    assert abs(int(edge) - 30) <= reduce * stride / 2 + 1


@pytest.mark.parametrize("options", [{}, {"reduce": 2}])
def test_windows_of_a_network_without_padding_answer_as_the_whole_image(options):
    """The equality that U-Net's tiles are for, bit by bit but for rounding."""
    torch.manual_seed(0)
    network = UNet(width=1 / 8, depth=2, in_channels=1, num_classes=3).eval()
    x = image(331, 270, 1)
    whole = made(network, window=(400, 400), **options).predict([x])[0]
    predictor = made(network, window=(88, 64), **options)
    assert len(predictor.windows.spans(331, 0)) > 2
    pieces = predictor.predict([x])[0]
    assert (whole.mask != pieces.mask).float().mean() < 1e-4
    torch.testing.assert_close(pieces.probability, whole.probability, rtol=0, atol=1e-5)
    assert whole.mask.unique().numel() > 1


def test_volumes_go_window_by_window_too():
    network = Blur(dims=3)
    x = image(19, 40, 31, 1)
    whole = made(network).predict([x])[0]
    pieces = made(network, window=(9, 16, 12)).predict([x])[0]
    assert whole.mask.shape == (19, 40, 31)
    torch.testing.assert_close(pieces.probability, whole.probability, rtol=0, atol=1e-6)


def test_windows_of_a_padded_network_leave_no_seam():
    """Its zeros at a cut edge change answers there; the change fades in, it does not jump."""
    torch.manual_seed(0)
    network = UNet(width=1 / 8, depth=2, padding="same", in_channels=1, num_classes=3).eval()
    x = image(200, 40, 1)
    whole = made(network).predict([x])[0].probability

    def jump(predictor):
        """The largest step between neighbours that the cuts alone make."""
        return (predictor.predict([x])[0].probability - whole).diff(dim=0).abs().max()

    hard = made(network, window=(64, 64))
    hard.windows = Windows((64, 64), (0, 0), (1, 1), (4, 4))
    assert jump(made(network, window=(64, 64))) < 0.3 * jump(hard)


def test_memory_holds_a_row_of_windows_and_pieces_come_in_order():
    seen = []

    def answer(cut):
        seen.append(tuple(cut.shape[1:3]))
        return cut.movedim(-1, 1).float()

    x = torch.arange(1000.0).reshape(100, 10, 1)
    pieces = slide(answer, x, Windows((20, 20), (2, 2), (4, 4), (4, 4)))
    first = next(pieces)
    assert len(seen) == 1  # nothing further down was asked for yet
    assert first.shape == (1, 12, 10)
    joined = torch.cat([first, *pieces], dim=1)
    torch.testing.assert_close(joined[0], x[..., 0])
    assert max(height for height, _ in seen) < 24


@pytest.mark.parametrize("side", [1, 20, 21, 57, 100])
def test_weights_cover_each_pixel_and_begin_on_the_grid(side):
    windows = Windows((20,), (2,), (4,), (4,))
    total = torch.zeros(side)
    for begin, end in windows.spans(side, 0):
        assert begin % 4 == 0
        total[begin:end] += windows.weights((begin, end), side, 0)
    assert total.min() > 0.99


def test_windows_that_are_all_border_are_refused():
    with pytest.raises(UsageError, match="must be above twice border and fade"):
        Windows((20, 20), (9, 9), (4, 4), (4, 4))


def test_masks_that_differ_count_only_where_rounding_cannot_explain_it():
    sure, tied = torch.tensor([[[0.9]], [[0.1]]]), torch.tensor([[[0.500001]], [[0.499999]]])
    other = torch.tensor([[[0.499999]], [[0.500001]]])
    compare = made(Blur()).compare
    a, b, c = (Segmented.of(p) for p in (sure, tied, other))
    assert compare([a, b], [a, c], 1e-4).share == 1
    wrong = Segmented.of(sure.flip(0))
    assert compare([a], [wrong], 1e-4).share == 0
    assert compare([a], [b], 1e-4).difference == pytest.approx(0.4, abs=1e-5)


def test_a_network_of_a_users_own_says_its_channels_and_classes():
    plain = nn.Conv2d(1, 2, 3, padding=1)
    with pytest.raises(ValueError, match="Conv2d: must have the attribute num_classes"):
        as_segmenter(plain)
    plain.num_classes = 2
    assert made(as_segmenter(plain)).predict([image(9, 12, 1)])[0].mask.shape == (9, 12)


def test_settings_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="mean and std must have 1 values"):
        MaskPredictor(Blur(), [0.1, 0.2], [1.0], CLASSES)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "options"),
    [
        (UNet(width=1 / 16, depth=2, in_channels=3, num_classes=3), {}),
        (UNet(width=1 / 16, depth=2, padding="same", norm="batch", num_classes=3), {"reduce": 2}),
        (UNet(width=1 / 16, depth=1, padding="same", up="bilinear", num_classes=3), {}),
        (Blur(dims=3, stride=2, multiple=4), {}),
    ],
    ids=["valid", "same", "bilinear", "volume"],
)
def test_the_exported_file_answers_images_of_any_size_as_the_network(network, options, tmp_path):
    torch.manual_seed(0)
    predictor = made(network, window=[48] * network.dims, **options)
    export_onnx(predictor, tmp_path / "m.onnx", metadata={})
    channels = network.in_channels
    if network.dims == 3:
        sizes = ((5, 20, 31), (1, 1, 7), (60, 30, 52))
    else:
        sizes = ((1, 1), (33, 70), (100, 131), (7, 64))
    items = [image(*size, channels, seed=i) for i, size in enumerate(sizes)]
    assert check_parity(predictor, tmp_path / "m.onnx", items).passed
    file = OnnxFile(tmp_path / "m.onnx")
    assert file.classes == list(CLASSES)
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    mask, probabilities = session.run(None, {file.inputs[0]: items[0][None].numpy()})
    assert mask.shape == (1, *sizes[0])
    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(mask, probabilities.argmax(1))
