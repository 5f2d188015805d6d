import copy

import pytest
import torch

from convatlas.blocks import GeneratedConv, ordinary_kernels
from convatlas.cost import count
from convatlas.errors import UsageError
from convatlas.models import create_model
from convatlas.models.hyper_weights import hyper_weights


def test_params_before_and_after_are_those_counted():
    model = create_model("resnet20_cifar")
    before = count(model, (1, 3, 32, 32))
    saved = hyper_weights(model)
    after = count(model, (1, 3, 32, 32))
    tiles = 6 + 2 + 5 * 4 + 8 + 5 * 16  # 16 x 16 channels each, of three stages of six layers
    assert saved == (18, before.params, after.params)
    kernels = 9 * 256 * tiles
    assert after.params == before.params - kernels + 64 * tiles + 66_560 + 9_360
    assert after.macs == before.macs + tiles * 16 * 64 * (64 + 144)


def test_it_learns_and_becomes_an_ordinary_network():
    torch.manual_seed(0)
    model = create_model("preact_resnet110_cifar", depth=8, num_classes=4)
    hyper_weights(model, embedding=8)
    x, y = torch.randn(4, 3, 16, 16), torch.arange(4)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]
    ordinary = copy.deepcopy(model.eval())
    assert ordinary_kernels(ordinary) == 6
    expected = create_model("preact_resnet110_cifar", depth=8, num_classes=4).state_dict()
    assert ordinary.state_dict().keys() == expected.keys()
    torch.testing.assert_close(ordinary(x), model(x))


def test_basic_kernels_of_another_side():
    model = create_model("resnet50", width=0.25, num_classes=3)
    assert hyper_weights(model, kernel=1, basic=16, embedding=4).convolutions > 30
    assert model.eval()(torch.rand(1, 3, 64, 64)).isfinite().all()
    assert {m.kernel_size for m in model.modules() if isinstance(m, GeneratedConv)} == {1}


def test_what_cannot_be_is_refused():
    model = create_model("resnet20_cifar")
    with pytest.raises(UsageError, match="embedding must be a whole number from 1 up, got 0"):
        hyper_weights(model, embedding=0)
    with pytest.raises(UsageError, match="no convolution of 5 x 5 with 16 channels"):
        hyper_weights(model, kernel=5)
    hyper_weights(model)
    with pytest.raises(UsageError, match="generated already"):
        hyper_weights(model)
