"""What holds of networks for sentences: no influence of padding, and their papers' formulas."""

import pytest
import torch
import torch.nn.functional as F

from convatlas import cost
from convatlas.errors import UsageError
from convatlas.models.on_shapes import on_shapes
from convatlas.models.text.dcnn_sentence import DCNNSentence
from convatlas.models.text.text_cnn import TextCNN
from convatlas.ops import dynamic_k, k_max_pool
from convatlas.text.symbols import FIRST_SYMBOL, PADDING

every_class = pytest.mark.parametrize("cls", [DCNNSentence, TextCNN], ids=lambda c: c.__name__)


def build(cls, **options):
    torch.manual_seed(0)
    model = (cls(**options) if options else cls.tiny()[0]).eval().requires_grad_(False)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter)
    return model


@every_class
def test_padding_has_no_influence_and_texts_of_any_length_are_answered(cls):
    model = build(cls)
    lengths = (1, 2, 3, 9, 30)
    texts = [torch.randint(FIRST_SYMBOL, 11, (1, length)) for length in lengths]
    alone = torch.cat([model(text) for text in texts])
    batch = torch.cat([F.pad(text, (0, 35 - text.shape[1]), value=PADDING) for text in texts])
    torch.testing.assert_close(model(batch), alone, rtol=1e-5, atol=1e-5)
    assert alone.isfinite().all()
    assert model(torch.full((1, 4), PADDING)).isfinite().all()


def test_dcnn_is_the_papers_formula_on_one_sentence():
    """Row by row in plain loops, with the operators that have fixed k."""
    model = build(DCNNSentence, symbols=30, num_classes=3, depth=8, maps=(2, 3), kernels=(4, 3))
    for length in (1, 5, 18):
        text = torch.randint(FIRST_SYMBOL, 30, (1, length))
        matrices = [model.vectors(text)[0].T]  # each (rows, steps)
        for place, layer in enumerate(model.layers, start=1):
            k = dynamic_k(place, 2, top=4, length=length)
            rows, count = matrices[0].shape[0], len(matrices)
            weight = layer.conv.weight.view(rows, layer.maps, count, -1)
            out = []
            for m in range(layer.maps):
                each = [
                    sum(
                        F.conv1d(
                            matrix[r][None, None],
                            weight[r, m, i][None, None],
                            padding=layer.kernel - 1,
                        )[0, 0]
                        for i, matrix in enumerate(matrices)
                    )
                    for r in range(rows)
                ]
                folded = torch.stack([each[r] + each[r + 1] for r in range(0, rows, 2)])
                bias = layer.bias.view(rows // 2, layer.maps)[:, m, None]
                kept = min(k, folded.shape[1])  # a short sentence may have fewer values
                out.append(torch.tanh(k_max_pool(folded, kept) + bias))
            matrices = out
        features = torch.stack(matrices, dim=1)  # (rows, maps, top)
        expected = model.classifier(features.flatten())
        torch.testing.assert_close(model(text)[0], expected, rtol=1e-4, atol=1e-5)


def test_text_cnn_keeps_the_largest_answer_of_each_filter():
    model = build(TextCNN)
    text = torch.randint(FIRST_SYMBOL, 11, (1, 9))
    x, found = model.vectors(text)[0].T, []
    for part in model.filters:
        k = part.kernel
        wide = F.pad(x, (k - 1, k - 1))
        windows = [wide[:, t : t + k] for t in range(wide.shape[1] - k + 1)]
        answers = [torch.einsum("dck,ck->d", part.conv.weight, window) for window in windows]
        found.append(torch.relu(torch.stack(answers).amax(0) + part.bias))
    expected = model.classifier(torch.cat(found))
    torch.testing.assert_close(model(text)[0], expected, rtol=1e-4, atol=1e-5)


def test_sizes_are_those_of_the_papers_formulas():
    with on_shapes():
        dcnn, kim = DCNNSentence(symbols=10), TextCNN(symbols=10)
    layers = 48 * 6 * 7 + 24 * 6 + 24 * 14 * 6 * 5 + 12 * 14
    assert sum(p.numel() for p in dcnn.parameters()) == 480 + layers + 2 * (12 * 14 * 4 + 1)
    filters = 100 * 300 * (3 + 4 + 5) + 300
    assert sum(p.numel() for p in kim.parameters()) == 3000 + filters + 2 * 301
    (text,) = kim.example(tokens=20)
    wide = sum(100 * 300 * k * (20 + k - 1) for k in (3, 4, 5))
    assert cost.macs(build(TextCNN, symbols=10), text.clamp(max=9)) == wide + 600


@every_class
def test_a_wider_network_is_not_smaller_and_what_has_no_form_is_refused(cls):
    with on_shapes():
        sizes = [sum(p.numel() for p in cls(width=w).parameters()) for w in (0.1, 0.25, 0.5, 1.0)]
    assert sizes == sorted(set(sizes))
    with pytest.raises(ValueError, match=rf"{cls.__name__}: text must be symbols \(n, l\)"):
        build(cls)(torch.zeros(2, 3))
    with pytest.raises(UsageError, match=f"{cls.__name__}: symbols must be 4 or more"):
        cls(symbols=2)
    with pytest.raises(UsageError, match=f"{cls.__name__}: kernels"):
        cls(kernels=())
