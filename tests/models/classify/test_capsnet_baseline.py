import pytest
import torch
from torch import nn

from convatlas.errors import UsageError
from convatlas.models import create_model
from convatlas.models.classify.capsnet_baseline import CapsNetBaseline


def test_counts_are_those_of_the_papers_layers(counted):
    convs = 25 * (1 * 256 + 256 * 256 + 256 * 128)
    dense = 28 * 28 * 128 * 328 + 328 * 192 + 192 * 10
    biases = 256 + 256 + 128 + 328 + 192 + 10
    assert counted("capsnet_baseline") == (convs + dense + biases, convs * 28 * 28 + dense)
    assert convs + dense + biases == 35_445_522


def test_counts_of_the_multimnist_form_are_those_of_the_papers_layers(counted):
    first, second = 81 * 512, 25 * 512 * 256
    dense = 9 * 9 * 256 * 1024 + 1024 * 10
    params = first + second + dense + 512 + 256 + 1024 + 10
    macs = first * 36 * 36 + second * 18 * 18 + dense
    assert counted("capsnet_baseline_multimnist") == (params, macs)


def test_dropout_is_off_in_evaluation():
    model = create_model("capsnet_baseline", width=0.05)
    assert [m.p for m in model.modules() if isinstance(m, nn.Dropout)] == [0.5]
    x = torch.rand(2, 1, 28, 28)
    assert not torch.equal(model.train()(x), model(x))
    assert torch.equal(model.eval()(x), model(x))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"form": "svhn"}, "form must be one of mnist, multimnist, got svhn"),
        ({"form": "multimnist", "size": 3}, "size must be from 4 up, got 3"),
    ],
)
def test_wrong_options_are_refused(wrong, message):
    with pytest.raises(UsageError, match=message):
        CapsNetBaseline(**wrong)
