import pytest
import torch
from torch import nn

from convatlas.errors import UsageError
from convatlas.models import create_model
from convatlas.models.classify.fractalnet_cifar import FractalNetCifar

NARROW = {  # by the connections of the released generator, 100 classes
    5: (258_660, 4_583_936),
    10: (848_820, 19_182_080),
    20: (2_127_780, 53_834_240),
    40: (4_784_340, 128_594_432),
    80: (10_196_100, 283_570_688),
    160: (21_118_260, 598_979_072),
}


@pytest.mark.parametrize("depth", NARROW)
def test_counts_of_the_depth_study_are_those_of_the_released_connections(depth, counted):
    assert counted(f"fractalnet{depth}_narrow_cifar", num_classes=100) == NARROW[depth]


def test_counts_of_depth_20_are_those_of_the_released_connections(counted):
    assert counted("fractalnet20_cifar") == (33_734_922, 845_222_912)
    assert counted("fractalnet20_cifar", num_classes=100) == (33_781_092, 845_268_992)
    assert counted("fractalnet20_cifar", columns=4)[0] == 76_128_714


def test_depth_40_has_thin_columns_of_the_printed_widths():
    with torch.device("meta"):
        model = create_model("fractalnet40_cifar")
    widths = [[column[0][0].out_channels for column in b.columns] for b in model.stages]
    assert widths[0] == [128, 64, 32, 16]
    assert widths[1:4] == [[w * 2**b for w in widths[0]] for b in (1, 2, 3)]
    assert widths[4] == widths[3]
    assert sum(len(block.columns[3]) for block in model.stages) == 40


def test_dropout_rises_by_equal_steps_from_block_to_block():
    model = create_model("fractalnet20_cifar", width=0.1)
    for block, rate in zip(model.stages, (0, 0.1, 0.2, 0.3, 0.4), strict=True):
        rates = {m.p for m in block.modules() if isinstance(m, nn.Dropout)}
        assert list(rates) == [pytest.approx(rate)]


def test_dropout_stands_between_convolution_and_norm():
    conv = create_model("fractalnet20_cifar", width=0.1).stages[0].columns[0][0]
    kinds = [type(layer) for layer in conv]
    assert kinds == [nn.Conv2d, nn.Dropout, nn.BatchNorm2d, nn.ReLU]


def test_zero_drop_path_switches_the_global_one_off_too():
    model = FractalNetCifar(columns=2, first_channels=4, drop_path=0.0, dropout=0.0).train()
    x = torch.rand(4, 3, 32, 32)
    assert len({model(x).sum().item() for _ in range(12)}) == 1


def test_training_varies_and_evaluation_does_not():
    torch.manual_seed(0)
    model = FractalNetCifar(columns=2, first_channels=4, dropout=0.0)
    x = torch.rand(4, 3, 32, 32)
    assert len({model.train()(x).sum().item() for _ in range(12)}) > 3
    assert len({model.eval()(x).sum().item() for _ in range(3)}) == 1


def test_starting_weights_are_those_of_caffes_xavier():
    torch.manual_seed(0)
    conv = create_model("fractalnet20_cifar").stages[1].columns[0][0][0]
    bound = (3 / (64 * 9)) ** 0.5
    assert 0.99 * bound < conv.weight.abs().max() <= bound
    assert conv.bias.abs().max() == 0


def test_no_channels_are_refused():
    with pytest.raises(UsageError, match="first_channels must be from 1 up, got 0"):
        FractalNetCifar(first_channels=0)
