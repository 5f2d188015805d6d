"""Fold a network for answers alone, so that an export has less to trace.

Batch normalisation goes into the convolution before it. In evaluation mode both are linear:
gamma (w * x - mean) / deviation + beta is one convolution of x with other weights.
"""

from collections import Counter

from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from convatlas.blocks import SameConv, ordinary_kernels

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def fold(network: nn.Module) -> None:
    """Bring a network in evaluation mode, in place, into the form that computes least.

    Kernels that others make become ordinary ones, and norms are folded into convolutions.
    """
    ordinary_kernels(network)
    fold_norm(network)


def fold_norm(network: nn.Module) -> int:
    """Change a network in evaluation mode in place; return how many norms were folded.

    A norm is folded where it alone reads a convolution, both are called once, and nothing else
    reads their weights. A network that cannot be traced stays as it is.
    """
    pairs = foldable(network)
    for conv_name, norm_name in pairs:
        conv, norm = network.get_submodule(conv_name), network.get_submodule(norm_name)
        fused = fuse_conv_bn_eval(conv, norm)  # pyright: ignore[reportArgumentType]  checked before
        network.set_submodule(conv_name, fused)
        network.set_submodule(norm_name, nn.Identity())
    return len(pairs)


def foldable(network: nn.Module) -> list[tuple[str, str]]:
    """Return the name of each convolution with that of the norm that can be folded into it."""
    try:
        nodes = list(_Tracer().trace(network).nodes)
    except Exception:  # a network whose code asks for values may raise anything
        return []
    modules = dict(network.named_modules(remove_duplicate=False))
    calls = [node for node in nodes if node.op == "call_module"]
    uses = Counter(id(modules[str(node.target)]) for node in calls)
    read = [str(node.target) for node in nodes if node.op == "get_attr"]

    def alone(name: str) -> bool:
        return uses[id(modules[name])] == 1 and not any(w.startswith(f"{name}.") for w in read)

    pairs = []
    for node in calls:
        inputs = node.all_input_nodes
        if len(inputs) != 1 or inputs[0].op != "call_module" or len(inputs[0].users) != 1:
            continue
        conv, norm = str(inputs[0].target), str(node.target)
        fits = _is_plain(modules[conv]) and _is_fixed(modules[norm])
        if fits and alone(conv) and alone(norm):
            pairs.append((conv, norm))
    return pairs


class _Tracer(fx.Tracer):
    """Take every plain convolution as a whole, also of a class that torch does not know."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return _is_plain(m) or super().is_leaf_module(m, module_qualified_name)


def _is_plain(module: nn.Module) -> bool:
    """Whether a module is a convolution that only pads in a way of its own."""
    if _has_hooks(module):
        return False
    own = type(module).forward
    return isinstance(module, SameConv) or any(own is kind.forward for kind in CONVOLUTIONS)


def _is_fixed(module: nn.Module) -> bool:
    """Whether a module is a batch norm that uses its running statistics."""
    if not isinstance(module, NORMS) or type(module) not in NORMS or _has_hooks(module):
        return False
    return not module.training and module.running_mean is not None


def _has_hooks(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks)
