"""The scale-permuted graphs of SpineNet as tables, and which block joins which beside them.

Source: Du et al., "SpineNet", CVPR 2020, arXiv:1912.05027; the graph of SpineNet-49 and of its
    mobile forms from the authors' repository. The ladder of permuted ResNets is published as block
    counts a level and as a drawing; R0-SP53 is read from a public transcription of that drawing.
Differs: of R35-SP18, R23-SP30 and R14-SP39 only the block counts are known in words. Each of their
    permuted blocks reads the two before it, levels in ascending order, outputs last.
"""

from collections.abc import Sequence
from typing import NamedTuple

BOTTLENECK, RESIDUAL, MBCONV = "bottleneck", "residual", "mbconv"
EXPAND = {BOTTLENECK: 4, RESIDUAL: 1, MBCONV: 1}  # output over inner channels of a block


class Node(NamedTuple):
    """One row: a block and what it reads; fewer than two inputs make it one of the stem."""

    level: int  # its maps have 1 / 2 ** level of the image's sides
    kind: str
    inputs: tuple[int, ...] = ()  # rows of the blocks that it reads
    output: bool = False


Graph = Sequence[Node]


def _permuted(*rows: tuple[int, str, int, int, bool]) -> tuple[Node, ...]:
    return tuple(Node(level, kind, (a, b), output) for level, kind, a, b, output in rows)


def _stem(*blocks: int) -> tuple[Node, ...]:
    """Chain bottlenecks, as many a level as given, from level 2 on: the first stages of ResNet."""
    levels = [level for level, count in enumerate(blocks, 2) for _ in range(count)]
    chain = (Node(level, BOTTLENECK, (i - 1,)) for i, level in enumerate(levels[1:], 1))
    return (Node(levels[0], BOTTLENECK), *chain)


def _ladder(stem: tuple[int, ...], permuted: tuple[int, ...]) -> tuple[Node, ...]:
    """Build a graph from block counts: the last block of the levels from 3 on is an output."""
    nodes = list(_stem(*stem))
    spare = [n - (level > 2) for level, n in enumerate(permuted, 2)]
    levels = [level for level, n in enumerate(spare, 2) for _ in range(n)]
    for level, output in [(each, False) for each in levels] + [(n, True) for n in range(3, 8)]:
        last = len(nodes)
        nodes.append(Node(level, BOTTLENECK, (last - 2, last - 1), output))
    return tuple(nodes)


SPINENET49 = _stem(2) + _permuted(
    (2, BOTTLENECK, 0, 1, False),
    (4, RESIDUAL, 0, 1, False),
    (3, BOTTLENECK, 2, 3, False),
    (4, BOTTLENECK, 2, 4, False),
    (6, RESIDUAL, 3, 5, False),
    (4, BOTTLENECK, 3, 5, False),
    (5, RESIDUAL, 6, 7, False),
    (7, RESIDUAL, 6, 8, False),
    (5, BOTTLENECK, 8, 9, False),
    (5, BOTTLENECK, 8, 10, False),
    (4, BOTTLENECK, 5, 10, True),
    (3, BOTTLENECK, 4, 10, True),
    (5, BOTTLENECK, 7, 12, True),
    (7, BOTTLENECK, 5, 14, True),
    (6, BOTTLENECK, 12, 14, True),
)

# The same graph with mobile blocks, behind one more of level 1.
MOBILE = (
    Node(1, MBCONV),
    Node(2, MBCONV, (0,)),
    Node(2, MBCONV, (0, 1)),
    *(
        Node(node.level, MBCONV, (node.inputs[0] + 1, node.inputs[1] + 1), node.output)
        for node in SPINENET49[2:]
    ),
)

R0_SP53 = _stem(2) + _permuted(
    (2, BOTTLENECK, 0, 1, False),
    (3, BOTTLENECK, 0, 1, False),
    (3, BOTTLENECK, 2, 3, False),
    (4, BOTTLENECK, 2, 4, False),
    (4, BOTTLENECK, 3, 5, False),
    (3, BOTTLENECK, 5, 6, False),
    (5, BOTTLENECK, 4, 7, False),
    (4, BOTTLENECK, 4, 8, False),
    (4, BOTTLENECK, 8, 9, False),
    (4, BOTTLENECK, 8, 10, False),
    (3, BOTTLENECK, 4, 10, True),
    (4, BOTTLENECK, 6, 7, True),
    (5, BOTTLENECK, 8, 13, True),
    (7, BOTTLENECK, 6, 9, True),
    (6, BOTTLENECK, 7, 9, True),
)

R35_SP18 = _ladder((2, 3, 5, 1), (1, 1, 1, 1, 1, 1))  # blocks of L2 to L5, then of L2 to L7
R23_SP30 = _ladder((2, 2, 2, 1), (1, 2, 4, 1, 1, 1))
R14_SP39 = _ladder((1, 1, 1, 1), (2, 3, 5, 1, 1, 1))


def unread_inputs(graph: Graph) -> dict[int, tuple[int, ...]]:
    """Find the blocks that nothing has read where an output of the same shape is built.

    Each joins that output as it is, so that no block is lost.

    Returns:
        for each output row the rows of the blocks that join it.
    """
    read: set[int] = set()
    joined: dict[int, tuple[int, ...]] = {}
    for index, node in enumerate(graph):
        read.update(node.inputs)
        if node.output:
            alike = [
                j
                for j, other in enumerate(graph[:index])
                if j not in read
                and (other.level, EXPAND[other.kind]) == (node.level, EXPAND[node.kind])
            ]
            joined[index] = tuple(alike)
            read.update(alike)
    return joined
