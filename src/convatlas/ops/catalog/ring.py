"""A small graph to show graph convolutions on."""

import torch
from torch import Tensor

from convatlas.errors import UsageError


def ring_with_chord(vertices: int) -> Tensor:
    """Return a ring with one chord from vertex 0 to the opposite one: not all vertices look alike.

    Shape: (vertices, vertices)

    Raises:
        UsageError: fewer than 4 vertices.
    """
    if vertices < 4:
        raise UsageError(f"ring_with_chord: vertices must be 4 or more, got {vertices}")
    graph = torch.zeros(vertices, vertices)
    places = torch.arange(vertices)
    graph[places, (places + 1) % vertices] = 1
    graph[0, vertices // 2] = 1
    return torch.maximum(graph, graph.T)
