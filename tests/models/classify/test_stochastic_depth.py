import pytest
import torch

from convatlas.errors import UsageError
from convatlas.models import create_model
from convatlas.models.classify.resnet import BasicUnit
from convatlas.models.classify.stochastic_depth import StochasticUnit


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("resnet110_stochastic_depth_cifar", "resnet110_cifar"),
        ("resnet110_stochastic_depth_uniform_cifar", "resnet110_cifar"),
        ("resnet152_stochastic_depth_cifar", "resnet152_cifar"),
        ("resnet1202_stochastic_depth_cifar", "resnet1202_cifar"),
        ("resnet152_stochastic_depth", "resnet152"),
    ],
)
def test_nothing_is_added_to_the_network_that_is_used(name, plain, counted):
    assert counted(name) == counted(plain)


def chances(model):
    return [m.survival for m in model.modules() if isinstance(m, StochasticUnit)]


def test_chances_fall_in_equal_steps_to_a_half():
    found = chances(create_model("resnet110_stochastic_depth_cifar"))
    assert found == pytest.approx([1 - unit / 54 * 0.5 for unit in range(1, 55)])
    assert sum(found) == pytest.approx((3 * 54 - 1) / 4)  # the paper's expected depth
    assert len(chances(create_model("resnet152_stochastic_depth", width=0.125))) == 50


def test_uniform_chances_are_equal():
    assert chances(create_model("resnet110_stochastic_depth_uniform_cifar")) == [0.5] * 54


def unit(survival, stride=2):
    torch.manual_seed(0)
    plain = BasicUnit(4, 8 if stride == 2 else 4, stride=stride, shortcut="A")
    return StochasticUnit(plain, survival).double()


def test_evaluation_weighs_the_residue_by_its_chance():
    model, x = unit(0.3).eval(), torch.randn(2, 4, 7, 7, dtype=torch.float64)
    kept = torch.zeros(2, 8, 4, 4, dtype=torch.float64)
    kept[:, 2:6] = x[:, :, ::2, ::2]
    expected = (kept + 0.3 * model.residue(x)).clamp(min=0)
    torch.testing.assert_close(model(x), expected)


def test_a_unit_is_left_out_as_often_as_its_chance_says_and_its_norms_then_see_nothing():
    model, x = unit(0.3).train(), torch.randn(2, 4, 7, 7, dtype=torch.float64)
    kept = model.shortcut(x).clamp(min=0)
    norm = model.residue[0][1]
    there = 0
    for _ in range(500):
        steps = int(norm.num_batches_tracked)
        y = model(x)
        used = int(norm.num_batches_tracked) - steps
        assert used == (not torch.equal(y, kept))
        there += used
    assert 110 < there < 190  # four deviations of 500 draws at 0.3 are 41


def test_one_draw_decides_for_the_whole_batch():
    model, x = unit(0.5, stride=1).train(), torch.randn(16, 4, 7, 7, dtype=torch.float64)
    for _ in range(10):
        same = (model(x) == x.clamp(min=0)).flatten(1).all(1)
        assert same.all() or not same.any()


def test_certain_units_are_a_resnet():
    torch.manual_seed(0)
    plain = create_model("resnet20_cifar")
    model = create_model("resnet110_stochastic_depth_cifar", depth=20, survival=1.0)
    model.load_state_dict(plain.state_dict(), strict=True)
    x = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(model.train()(x), plain.train()(x))
    torch.testing.assert_close(model.eval()(x), plain.eval()(x))


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("survival", 1.5, "survival must be from 0 to 1, got 1.5"),
        ("decay", "cosine", "decay must be one of linear, uniform, got cosine"),
        ("depth", 111, r"depth must be 6 n \+ 2, got 111"),
    ],
)
def test_other_options_are_refused(option, value, message):
    with pytest.raises(UsageError, match=f"StochasticDepthCifar: {message}"):
        create_model("resnet110_stochastic_depth_cifar", **{option: value})
