"""Which parameters decay, by the kind of layer that they belong to.

Filters and matrices decay; depthwise filters, which have few weights, by a share that the recipe
says. Decay of a norm's scale changes what the network computes, not how smoothly.

Source: Howard et al., "MobileNets", 2017, arXiv:1704.04861, section 3.2 (little or no decay on
    depthwise filters); norms, biases, slopes and embeddings as is usual in the field.
"""

from collections.abc import Iterator
from typing import Literal

from torch import nn

from convatlas.ops.causal import CausalConv
from convatlas.ops.convolution import Conv
from convatlas.ops.depthwise import DepthwiseConv
from convatlas.ops.pyramid import PyramidConv
from convatlas.ops.separable import SeparableConv
from convatlas.ops.shuffle import ShuffledGroupConv
from convatlas.ops.sub_separable import SubSeparableConv
from convatlas.ops.super_separable import SuperSeparableConv
from convatlas.ops.transposed import TransposedConv

Kind = Literal["weights", "depthwise", "norms", "others"]

TORCH_CONVS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TORCH_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
NORMS = (
    nn.modules.batchnorm._NormBase,  # batch and instance norms
    nn.LayerNorm,
    nn.GroupNorm,
    nn.RMSNorm,
)
NEVER = (nn.PReLU, nn.Embedding, nn.EmbeddingBag)
# Operators of ours, with the parameters that are depthwise filters: (channels, 1, k...).
DEPTHWISE = {
    DepthwiseConv: "weight",
    PyramidConv: "weights",
    SeparableConv: "depthwise",
    SubSeparableConv: "grouped",
    SuperSeparableConv: "depthwise",
}
GROUPED = (Conv, CausalConv, ShuffledGroupConv)  # of ours, with `groups` and one `weight`


def kinds_of_parameters(model: nn.Module) -> Iterator[tuple[str, nn.Parameter, Kind]]:
    """Yield name, parameter and kind, in the order of `named_parameters`.

    `weights` are filters, matrices and what else has several numbers for each row; `depthwise` are
    filters that read one channel of several; `norms` are scales of norms; `others` are biases,
    slopes, embeddings and single factors.
    """
    modules = dict(model.named_modules())
    for name, parameter in model.named_parameters():
        path, _, leaf = name.rpartition(".")
        if isinstance(modules[path], nn.ParameterList):
            path, _, leaf = path.rpartition(".")
        yield name, parameter, _kind(modules[path], leaf, parameter)


def _kind(module: nn.Module, leaf: str, parameter: nn.Parameter) -> Kind:
    if leaf == "bias" or leaf.endswith(("_bias", "offset")) or isinstance(module, NEVER):
        return "others"
    if isinstance(module, NORMS) or leaf.endswith("gain"):
        return "norms"
    if _is_depthwise(module, leaf, parameter):
        return "depthwise"
    if isinstance(module, (*TORCH_CONVS, *TORCH_TRANSPOSED, *GROUPED, nn.Linear)):
        return "weights" if leaf == "weight" else "others"
    if parameter.ndim <= 1 or parameter[0].numel() == 1:  # a factor for each row
        return "norms" if "Norm" in type(module).__name__ else "others"
    return "weights"


def _is_depthwise(module: nn.Module, leaf: str, parameter: nn.Parameter) -> bool:
    for operator, filters in DEPTHWISE.items():
        if isinstance(module, operator):
            return leaf == filters and parameter.shape[1] == 1
    if leaf != "weight":
        return False
    if isinstance(module, (*TORCH_CONVS, *TORCH_TRANSPOSED)):
        return module.groups == module.in_channels > 1
    if isinstance(module, GROUPED):
        return module.groups > 1 and parameter.shape[1] == 1
    if isinstance(module, TransposedConv):
        return module.groups == parameter.shape[0] > 1
    return False
