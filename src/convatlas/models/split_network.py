"""A network in two: the first layers, which stay as they are, and the rest, which is trained on.

Where the first layers do not change, what they give for an example is computed once and kept; the
rest is then trained on that at a fraction of the work.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.nn.modules.batchnorm import _BatchNorm

from convatlas.errors import UsageError


class Cut(NamedTuple):
    """A place where a single tensor connects what is before it with what comes after.

    Args:
        name: of the tensor, as torch.fx names it.
        layers: paths of the modules with weights that come after it.
        elements: of the tensor, for each example.
    """

    name: str
    layers: tuple[str, ...]
    elements: int


class _Sizes(fx.Interpreter):
    """Runs a network and notes how many elements each step gives."""

    def __init__(self, module: fx.GraphModule):
        super().__init__(module)
        self.elements: dict[str, int] = {}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if isinstance(result, Tensor) and n.op != "get_attr":
            self.elements[n.name] = result[0].numel() if result.ndim > 1 else 0
        return result


class FrozenNorm(nn.Module):
    """Batch norm with the statistics of an earlier training, whatever mode the network is in.

    Scale and shift are the same parameters as those of the layer that it stands for. Statistics of
    a few hundred images are worse than those of the million that public weights have seen.

    Shape: (n, c, ...) -> (n, c, ...)
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, norm: _BatchNorm):
        super().__init__()
        self.weight, self.bias, self.eps = norm.weight, norm.bias, norm.eps
        self.register_buffer("running_mean", norm.running_mean)
        self.register_buffer("running_var", norm.running_var)

    def forward(self, x: Tensor) -> Tensor:
        return F.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps
        )


def find_cuts(model: nn.Module, example: Tensor) -> list[Cut]:
    """Return where a network can be cut in two, from the input on; the first is the input itself.

    Args:
        example: a batch that the network takes.

    Raises:
        UsageError: its path depends on values, so that no graph of it can be drawn.
    """
    nodes = _graph(model)
    sizes = _Sizes(fx.GraphModule(model, nodes[0].graph))
    with torch.no_grad():
        sizes.run(example)
    place = {node: number for number, node in enumerate(nodes)}
    last_use = {node: max((place[user] for user in node.users), default=0) for node in nodes}
    cuts, live_until = [], 0
    for number, node in enumerate(nodes[:-1]):
        # Whatever is read later must be read through this tensor alone.
        elements = sizes.elements.get(node.name, 0)
        if live_until <= number and elements:
            cuts.append(Cut(node.name, _layers(model, nodes[number + 1 :]), elements))
        if node.op != "get_attr":
            live_until = max(live_until, last_use[node])
    return cuts


def layers_between(model: nn.Module, start: str | None, end: str | None) -> nn.Module:
    """Return the layers between two cuts, which share their weights with the network.

    Args:
        start: name of one of `find_cuts`; None is the input.
        end: of a later one; None is the output.

    Raises:
        UsageError: there is no such cut.
    """
    nodes = _graph(model)
    names = [node.name for node in nodes]
    for cut in (start, end):
        if cut is not None and cut not in names:
            raise UsageError(f"layers_between: {type(model).__name__} has no cut '{cut}'")
    first = 0 if start is None else names.index(start) + 1
    last = len(nodes) - 1 if end is None else names.index(end) + 1
    steps, graph, values = nodes[first:last], fx.Graph(), {}
    if start is not None:
        values[nodes[first - 1]] = graph.placeholder("x")
    for node in nodes[:first]:  # weights that are read before they are used
        if node.op == "get_attr" and any(user in steps for user in node.users):
            values[node] = graph.node_copy(node)
    for node in steps:
        values[node] = graph.node_copy(node, values.__getitem__)
    output = cast(fx.Node, nodes[-1].args[0]) if end is None else nodes[last - 1]
    graph.output(values[output])
    return fx.GraphModule(model, graph)


def freeze_norms(module: nn.Module) -> nn.Module:
    """Let batch norm keep its statistics in training, whose scale and shift still learn."""
    for path, inner in list(module.named_modules()):
        if isinstance(inner, _BatchNorm) and inner.track_running_stats:
            module.set_submodule(path, FrozenNorm(inner))
    return module


def _graph(model: nn.Module) -> list[fx.Node]:
    """The steps of a network in evaluation mode, with one input and one output tensor."""
    training = model.training
    try:
        graph = fx.symbolic_trace(model.eval()).graph
    except Exception as error:  # whatever its code does with a value that is not there
        raise UsageError(f"{type(model).__name__} cannot be cut in two: {error}") from error
    finally:
        model.train(training)
    nodes = list(graph.nodes)
    inputs = [node for node in nodes if node.op == "placeholder" and node.users]
    if len(inputs) != 1 or not isinstance(nodes[-1].args[0], fx.Node):
        raise UsageError(f"{type(model).__name__} cannot be cut in two: several inputs or outputs")
    return nodes


def _layers(model: nn.Module, nodes: Sequence[fx.Node]) -> tuple[str, ...]:
    """Paths of modules with weights among the steps, called or read, each once."""
    paths = []
    for node in nodes:
        if node.op == "call_module":
            path = str(node.target)
        elif node.op == "get_attr":
            path = str(node.target).rpartition(".")[0]
        else:
            continue
        if next(model.get_submodule(path).parameters(), None) is not None:
            paths.append(path)
    return tuple(dict.fromkeys(paths))
