"""Nothing sees itself or what is later; what sees all that is earlier; drawing place by place."""

import pytest
import torch

from convatlas import cost
from convatlas.models import create_model
from convatlas.models.generate.draw import draw_values
from convatlas.models.generate.gated_pixelcnn import ConditionalGatedPixelCNN, GatedPixelCNN
from convatlas.models.generate.pixel_network import (
    WholePass,
    level_probabilities,
    scaled,
    value_nats,
)
from convatlas.models.generate.pixelcnn import MaskedBlock, PixelCNN

SIDE = (5, 7)
FORMS = {"pixelcnn": PixelCNN, "gated": GatedPixelCNN, "conditional": ConditionalGatedPixelCNN}


def build(form, colours, levels=4, **options):
    torch.manual_seed(0)
    sizes = {"maps": 4, "layers": 3, "first_kernel": 3, "head_maps": 6, **options}
    if form == "conditional":
        sizes = {"conditions": 3, **sizes}
    if form != "pixelcnn":
        sizes = {"kernel": 3, **sizes}
    return FORMS[form](in_channels=colours, levels=levels, **sizes).double().eval()


def told(form, count, located=False):
    if form != "conditional":
        return ()
    random = torch.rand(count, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    return (random[:, :, None, None] * torch.ones(3, 3) if located else random,)


def sight(form, colours, **options):
    """Whether an answer changes with a value: (answers, values) in reading order."""
    model = build(form, colours, **options)
    x = torch.rand(1, colours, *SIDE, dtype=torch.float64)

    def answers(x):
        """One number for each value of the image, in reading order, colours innermost."""
        logits = model(x, *told(form, 1))
        weights = torch.arange(1, logits.shape[1] + 1, dtype=torch.float64)
        return (logits * weights[None, :, None, None, None]).sum(1)[0].permute(1, 2, 0).flatten()

    slopes = torch.autograd.functional.jacobian(answers, x)[:, 0]
    return slopes.permute(0, 2, 3, 1).flatten(1) != 0


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("colours", [1, 3])
def test_an_answer_sees_neither_its_own_value_nor_a_later_one(form, colours):
    seen = sight(form, colours)
    assert not seen.triu().any()


@pytest.mark.parametrize("colours", [1, 3])
def test_a_gated_network_sees_all_earlier_values_within_reach(colours):
    """Four layers of 3 x 3 reach all rows here, and all of the row to the left."""
    seen = sight("gated", colours, layers=8)
    assert torch.equal(seen, torch.ones_like(seen).tril(-1))


def test_a_plain_network_is_blind_to_a_triangle_that_the_gated_one_sees():
    """A step up goes one place to the right at most, and a step along the row only to the left."""
    plain, gated = (
        sight(form, 1, layers=8).reshape(*SIDE, *SIDE) for form in ("pixelcnn", "gated")
    )
    row, column = 3, 1
    for up in (1, 2, 3):
        for right in range(SIDE[1] - column):
            expected = right <= up
            assert bool(plain[row, column, row - up, column + right]) == expected, (up, right)
            assert gated[row, column, row - up, column + right]


def test_weights_that_are_hidden_do_not_matter():
    model = build("pixelcnn", 3)
    x = torch.rand(1, 3, *SIDE, dtype=torch.float64)
    before = model(x)
    with torch.no_grad():
        for module in model.modules():
            if hasattr(module, "mask"):
                module.weight.add_(100 * ~module.mask)
    assert torch.equal(model(x), before)


def test_a_block_costs_13_squares_of_half_its_maps():
    """The fact sheet's count: weights 13 h², biases 4 h."""
    block, half = MaskedBlock(6, 3), 6
    assert sum(p.numel() for p in block.parameters()) == 13 * half**2 + 4 * half
    assert cost.macs(block, torch.rand(1, 12, 4, 5)) == 4 * 5 * 13 * half**2


def test_the_small_network_of_the_fact_sheet_has_19649_parameters():
    model = create_model("pixelcnn_mnist", layers=6, head_layers=1)
    assert sum(p.numel() for p in model.parameters()) == 19_649


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("colours", "levels"), [(1, 2), (3, 5)])
def test_drawing_place_by_place_gives_what_whole_passes_give(form, colours, levels):
    model = (
        build(form, colours, levels, located=True)
        if form == "conditional"
        else build(form, colours, levels)
    )
    condition = told(form, 2, located=True)
    values = torch.randint(0, levels, (2, colours, *SIDE))
    known = torch.zeros(2, *SIDE, dtype=torch.bool)
    known[:, :2], known[0, 2] = True, True
    uniform = torch.rand(values.shape, dtype=torch.float64)
    drawn = []
    for steps in (
        model.steps(scaled(values, levels).double(), *condition),
        WholePass(model, *condition),
    ):
        drawn.append(draw_values(steps, values, known, levels, uniform, dtype=torch.float64))
    assert torch.equal(*drawn)
    assert torch.equal(drawn[0][:, :, :2], values[:, :, :2])
    assert torch.equal(drawn[0][0, :, 2], values[0, :, 2])
    assert drawn[0][:, :, 2:].unique().numel() == levels


@pytest.mark.parametrize("form", FORMS)
def test_steps_give_the_logits_of_the_whole_image(form):
    model = build(form, 3)
    x = torch.rand(2, 3, *SIDE, dtype=torch.float64)
    condition = told(form, 2)
    whole, steps = model(x, *condition), model.steps(x, *condition)
    for row in range(SIDE[0]):
        for column in range(SIDE[1]):
            torch.testing.assert_close(steps.logits(x, row, column), whole[:, :, :, row, column])


def test_a_step_costs_a_place_and_not_an_image():
    """Counted as it runs: all steps together cost less than two passes over the image."""
    model, x = build("gated", 1), torch.rand(1, 1, 4, 5, dtype=torch.float64)

    def all_steps(x):
        steps = model.steps(x)
        return torch.stack([steps.logits(x, r, c) for r in range(4) for c in range(5)])

    assert cost.macs(all_steps, x) <= 2 * cost.macs(model, x)


def test_what_is_drawn_is_as_frequent_as_it_is_probable():
    """A network that knows nothing of the image: the same logits at every place."""

    class Same:
        def logits(self, image, row, column):
            return torch.tensor([0.1, 0.6, 0.3]).log()[None, :, None].expand(4000, -1, 1)

    values = torch.zeros(4000, 1, 1, 1, dtype=torch.int64)
    known = torch.zeros(4000, 1, 1, dtype=torch.bool)
    uniform = torch.rand(values.shape, generator=torch.Generator().manual_seed(0))
    drawn = draw_values(Same(), values, known, 3, uniform.double())
    shares = drawn.flatten().bincount(minlength=3) / 4000
    torch.testing.assert_close(shares, torch.tensor([0.1, 0.6, 0.3]), atol=0.03, rtol=0)


@pytest.mark.parametrize("levels", [2, 5])
def test_the_probabilities_of_all_images_sum_to_one(levels):
    model = build("gated", 1, levels)
    pixels = torch.cartesian_prod(*[torch.arange(levels)] * 4).view(-1, 1, 2, 2)
    with torch.no_grad():
        logits = model(scaled(pixels, levels).double())
    nats = value_nats(logits, pixels).flatten(1).sum(1)
    assert float((-nats).exp().sum()) == pytest.approx(1)
    torch.testing.assert_close(
        nats[:, None],
        -level_probabilities(logits)
        .gather(1, pixels[:, None])
        .log()
        .flatten(1)
        .sum(1, keepdim=True),
    )


def test_a_condition_changes_the_answer_and_located_ones_where_they_stand():
    model = build("conditional", 1, located=True, layers=2)
    x = torch.zeros(1, 1, 4, 4, dtype=torch.float64)
    condition = torch.zeros(1, 3, 2, 2, dtype=torch.float64)
    changed = condition.clone()
    changed[0, 0, 1, 1] = 1  # of the lower right quarter
    apart = (model(x, changed) - model(x, condition)).abs().amax((0, 1, 2)) > 0
    assert apart[2:, 2:].all()
    assert not apart[:2].any()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"levels": 1}, "levels must be a whole number from 2 to 256, got 1"),
        ({"first_kernel": 4}, "first_kernel must be odd, got 4"),
        ({"layers": 0}, "layers must be 1 or more, got 0"),
    ],
)
@pytest.mark.parametrize("name", ["pixelcnn", "gated_pixelcnn"])
def test_options_that_no_network_has_are_refused(name, options, says):
    with pytest.raises(ValueError, match=says):
        create_model(name, **options)


def test_images_and_conditions_of_another_form_are_refused():
    with pytest.raises(ValueError, match=r"PixelCNN: input must be \(n, 3, h, w\)"):
        build("pixelcnn", 3)(torch.zeros(1, 1, 4, 4).double())
    model = build("conditional", 1)
    with pytest.raises(ValueError, match=r"condition must be \(n, 3\), got \(1, 2\)"):
        model(torch.zeros(1, 1, 4, 4).double(), torch.zeros(1, 2).double())
    with torch.no_grad():
        assert model(torch.zeros(1, 1, 1, 1).double(), *told("conditional", 1)).isfinite().all()
