"""A predictor whose inputs are several tensors each: asked, kept, exported and compared alike."""

from types import MappingProxyType

import pytest
import torch

from convatlas.deploy.onnx_file import OnnxFile, export_onnx
from convatlas.deploy.parity import check_parity
from convatlas.deploy.predictor import Agreement, Predictor, answer_by_size
from convatlas.pipeline.sample import MAX_SAMPLE_BYTES, load_sample, save_sample


class Scaled(Predictor):
    """Scales a signal by the mean of another one, of another length."""

    inputs = MappingProxyType({"signal": {0: "n", 1: "samples"}, "scale": {0: "n", 1: "length"}})
    outputs = ("scaled",)
    metadata = MappingProxyType({})
    items = "signals"
    decision = "the same signal"

    def __init__(self):
        super().__init__()
        self.network = torch.nn.Identity()

    def forward(self, signal, scale):
        return self.network(signal).mean(1, keepdim=True) * scale.mean(1, keepdim=True)

    def example(self, batch=2):
        return torch.rand(batch, 5), torch.rand(batch, 3)

    def compare(self, expected, answered, tolerance):
        difference = (expected - answered).abs()
        return Agreement(float((difference <= tolerance).float().mean()), float(difference.max()))


def drawn(lengths):
    draw = torch.Generator().manual_seed(0)
    return [(torch.rand(a, generator=draw), torch.rand(b, generator=draw)) for a, b in lengths]


LENGTHS = [(5, 3), (4, 3), (5, 3), (5, 7), (4, 3)]


def test_pairs_of_equal_shapes_share_a_batch_and_keep_their_order():
    items, sizes = drawn(LENGTHS), []
    predictor = Scaled().eval()

    def run(signal, scale):
        sizes.append((signal.shape, scale.shape))
        return predictor(signal, scale)

    answers = answer_by_size(items, run)
    assert len(sizes) == 3
    expected = torch.stack([(a.mean() * b.mean())[None] for a, b in items])
    torch.testing.assert_close(answers, expected)
    torch.testing.assert_close(predictor.predict(items), expected)
    with pytest.raises(ValueError, match="got none"):
        answer_by_size([], run)


@pytest.mark.slow
def test_the_exported_file_takes_both_at_lengths_of_their_own(tmp_path):
    path = tmp_path / "scaled.onnx"
    predictor = Scaled().eval()
    export_onnx(predictor, path, metadata={})
    assert check_parity(predictor, path, drawn(LENGTHS)).passed
    assert OnnxFile(path).inputs == ["signal", "scale"]


def test_a_run_keeps_pairs_and_gives_them_back_as_such(tmp_path):
    items = drawn(LENGTHS)
    save_sample(items, tmp_path / "sample")
    kept = load_sample(tmp_path / "sample")
    assert [tuple(map(len, each)) for each in kept] == LENGTHS
    for pair, again in zip(items, kept, strict=True):
        assert isinstance(again, tuple)
        torch.testing.assert_close(again, pair)
    save_sample([(item[0],) for item in items], tmp_path / "single")
    assert all(isinstance(each, tuple) for each in load_sample(tmp_path / "single"))
    large = torch.zeros(MAX_SAMPLE_BYTES // 8 + 1)
    save_sample([(large, large[:9]), (large, large), (large, large)], tmp_path / "large")
    assert len(load_sample(tmp_path / "large")) == 1
