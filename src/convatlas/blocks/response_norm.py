"""Local response normalisation as a layer, with the numbers that its paper found."""

from torch import nn

NEIGHBOURS, ALPHA, BETA, K = 5, 1e-4, 0.75, 2.0


def local_response_norm_layer() -> nn.LocalResponseNorm:
    """Build x / (2 + 0.0001 * sum of the five neighbouring channels' x^2) ^ 0.75.

    The paper does not divide alpha by the number of neighbours and torch does, hence the factor.

    Shape: (n, c, h, w) -> (n, c, h, w)

    Source: Krizhevsky, Sutskever, Hinton, NIPS 2012, section 3.3.
    """
    return nn.LocalResponseNorm(NEIGHBOURS, alpha=ALPHA * NEIGHBOURS, beta=BETA, k=K)
