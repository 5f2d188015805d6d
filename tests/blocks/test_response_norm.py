import torch

from convatlas.blocks import local_response_norm_layer
from convatlas.ops import local_response_norm


def test_layer_has_the_papers_numbers_and_not_torchs_division():
    x = 100 * torch.randn(2, 9, 3, 4, dtype=torch.float64)
    expected = torch.empty_like(x)
    for i in range(9):
        near = x[:, max(0, i - 2) : i + 3]
        expected[:, i] = x[:, i] / (2 + 1e-4 * near.square().sum(1)) ** 0.75
    torch.testing.assert_close(local_response_norm_layer()(x), expected)
    torch.testing.assert_close(local_response_norm(x), expected)
