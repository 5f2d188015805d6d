import pytest
import torch

from convatlas import cost
from convatlas.ops import FirstOrderConv, first_order_conv, first_order_graph

GRAPH = torch.tensor([[0, 1, 0, 0], [1, 0, 2, 0], [0, 2, 0, 1], [0, 0, 1, 0]]).double()


def test_equals_the_sum_over_neighbours(draw):
    x, weight = draw(2, 3, 4).detach(), draw(2, 3).detach()
    looped = GRAPH + torch.eye(4)
    expected = torch.zeros(2, 2, 4, dtype=torch.float64)
    for v in range(4):
        for u in range(4):
            share = looped[v, u] / (looped[v].sum() * looped[u].sum()) ** 0.5
            expected[..., v] += share * (x[..., u] @ weight.T)
    graph = first_order_graph(GRAPH)
    torch.testing.assert_close(first_order_conv(x, weight, graph), expected)
    torch.testing.assert_close(first_order_conv(x, weight, graph.to_sparse()), expected)


def test_gradients_and_cost(draw):
    x, weight, graph = draw(2, 3, 4), draw(2, 3), first_order_graph(GRAPH)
    assert torch.autograd.gradcheck(lambda *t: first_order_conv(*t, graph), (x, weight))
    assert cost.macs(first_order_conv, x, weight, graph) == 2 * (4 * 3 * 2 + 16 * 2)


def test_the_module_gives_the_function():
    graph = first_order_graph(GRAPH.float())
    layer = FirstOrderConv(3, 2, graph)
    x = torch.rand(1, 3, 4)
    torch.testing.assert_close(layer(x), first_order_conv(x, layer.weight, graph))


def test_sizes_that_do_not_agree_are_refused():
    with pytest.raises(ValueError, match=r"a graph \(4, 4\) and weights \(d, 3\), got \(5, 5\)"):
        first_order_conv(torch.zeros(1, 3, 4), torch.zeros(2, 3), torch.eye(5))
