"""Where a network can be cut in two, and how much of its work comes after each place."""

from collections.abc import Mapping

from torch import Tensor, nn

from convatlas.data.free_memory import free_memory_bytes
from convatlas.errors import UsageError
from convatlas.models.split_network import Cut, find_cuts
from convatlas.search.costed import CostedCandidate

MIN_TRAINED_SHARE = 0.05
MAX_MAPS_BYTES, MEMORY_SHARE, FLOAT_BYTES = 1 << 30, 0.25, 4  # share: of the free memory
CLOSE = 0.85  # cuts with so much of the same work are alike: the one with the smaller maps is taken


def cut_shares(
    model: nn.Module, counted: CostedCandidate, example: Tensor, examples: int, *, held: int = 0
) -> dict[Cut, float]:
    """Return the share of a network's multiply-adds that comes after each cut, earliest first.

    Cuts with little but the last layer after them are left out, and so are those whose maps memory
    has no room for. Empty where the network cannot be cut.

    Args:
        examples: whose maps are kept.
        held: elements of the maps of an example that are in memory already.
    """
    room = min(MAX_MAPS_BYTES, MEMORY_SHARE * free_memory_bytes())
    most_elements = max(held, room / (FLOAT_BYTES * examples))
    assert counted.cost is not None
    macs = {layer.name: layer.macs for layer in counted.cost.layers}
    try:
        cuts = find_cuts(model, example)
    except UsageError:  # no graph of it can be drawn
        return {}
    work = {cut: sum(macs.get(path, 0) for path in cut.layers) for cut in cuts}
    total = max(1, *work.values())
    return {
        cut: share / total
        for cut, share in work.items()
        if share >= MIN_TRAINED_SHARE * total and cut.elements <= most_elements
    }


def smallest_alike(shares: Mapping[Cut, float], share: float) -> Cut:
    """Return the cut with the smallest maps among those with about so much work after them."""
    nearest = shares[min(shares, key=lambda cut: abs(shares[cut] - share))]
    alike = [cut for cut, each in shares.items() if CLOSE * nearest <= each <= nearest / CLOSE]
    return min(alike, key=lambda cut: cut.elements)
