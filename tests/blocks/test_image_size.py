import pytest
import torch

from convatlas.blocks import check_exact_image, check_image


@pytest.mark.parametrize("shape", [(2, 3, 8, 8), (1, 3, 8, 9), (0, 3, 100, 8)])
def test_images_of_the_smallest_size_and_above_pass(shape):
    check_image(torch.zeros(shape), "Net", channels=3, min_size=8)


@pytest.mark.parametrize(
    "shape", [(3, 8, 8), (2, 1, 8, 8), (2, 3, 7, 8), (2, 3, 8, 7), (2, 8, 8, 3)]
)
def test_other_images_are_refused_with_what_is_expected_and_what_came(shape):
    with pytest.raises(ValueError, match="h and w from 8 pixels up") as caught:
        check_image(torch.zeros(shape), "Net", channels=3, min_size=8)
    assert str(caught.value).startswith("Net: input must be (n, 3, h, w)")
    assert str(caught.value).endswith(f"got {shape}")


@pytest.mark.parametrize("shape", [(3, 8, 9), (2, 1, 8, 9), (2, 3, 9, 8), (2, 3, 16, 18)])
def test_an_exact_size_is_refused_with_the_way_out(shape):
    check_exact_image(torch.zeros(2, 3, 8, 9), "Net", channels=3, size=(8, 9))
    with pytest.raises(ValueError, match="resize or pad") as caught:
        check_exact_image(torch.zeros(shape), "Net", channels=3, size=(8, 9))
    assert "Net: input must be exactly (n, 3, 8, 9)" in str(caught.value)


class Door(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        check_image(x, "Net", channels=3, min_size=8)
        check_exact_image(x, "Net", channels=3, size=(8, 8))
        return 2 * x


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("trace", [torch.fx.symbolic_trace, torch.jit.script])
def test_a_traced_network_holds_no_check(trace):
    assert torch.equal(trace(Door())(torch.ones(1)), torch.full((1,), 2.0))
