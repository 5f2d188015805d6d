"""SpineNet's backbone: blocks in an order of scales that was searched, not ever coarser.

Source: Du et al., "SpineNet", CVPR 2020, arXiv:1912.05027, sections 3 and 4, figure 5.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convatlas.blocks import ConvNormAct, check_option, resnet_stem
from convatlas.models.classify.spinenet_blocks import Act, Edge, Merge, new_block
from convatlas.models.classify.spinenet_graphs import (
    EXPAND,
    MBCONV,
    MOBILE,
    R0_SP53,
    R14_SP39,
    R23_SP30,
    R35_SP18,
    SPINENET49,
    Graph,
    Node,
    unread_inputs,
)

LEVELS = {1: 32, 2: 64, 3: 128, 4: 256, 5: 256, 6: 256, 7: 256}  # base channels of a block
MOBILE_LEVELS = {1: 16, 2: 24, 3: 40, 4: 80, 5: 112, 6: 112, 7: 112}
STEM, MOBILE_STEM = 64, 8
OUTPUTS = (3, 4, 5, 6, 7)


class Form(NamedTuple):
    """One row of the table of scalings."""

    graph: Graph
    scale: float  # of the channels
    alpha: float  # channels inside an edge, over those of its parent's level
    repeats: int  # of each block
    endpoint: int  # channels of the maps that are put out


FORMS = {
    "49s": Form(SPINENET49, 0.65, 0.5, 1, 128),
    "49": Form(SPINENET49, 1.0, 0.5, 1, 256),
    "96": Form(SPINENET49, 1.0, 0.5, 2, 256),
    "143": Form(SPINENET49, 1.0, 1.0, 3, 256),
    "143l": Form(SPINENET49, 1.3, 1.0, 3, 256),
    "190": Form(SPINENET49, 1.3, 1.0, 4, 512),
    "r35_sp18": Form(R35_SP18, 1.0, 0.5, 1, 256),
    "r23_sp30": Form(R23_SP30, 1.0, 0.5, 1, 256),
    "r14_sp39": Form(R14_SP39, 1.0, 0.5, 1, 256),
    "r0_sp53": Form(R0_SP53, 1.0, 0.5, 1, 256),
    "49xs_mobile": Form(MOBILE, 0.6, 1.0, 1, 24),
    "49s_mobile": Form(MOBILE, 0.65, 1.0, 1, 40),
    "49_mobile": Form(MOBILE, 1.0, 1.0, 1, 48),
}


class SpineNetBackbone(nn.Module):
    """Maps of five scales out of a graph whose blocks stand in no order of scales.

    Args:
        form: a row of `FORMS`.
        width: multiplies every channel count on top of the form's own scale.
        in_channels: channels of the image.
        stem_stride: 4 as published; 2 and 1 keep more resolution, as in `ResNet`; mobile forms
            have 2, or 1.
        swish: swish instead of ReLU, as in the longest training (protocol C).

    Shape: (n, in_channels, h, w) -> five maps (n, endpoint, h / s, w / s), rounded up, with strides
        s of 8, 16, 32, 64 and 128 for the published stem, finest first.

    Raises:
        UsageError: an option that has no such value.
    """

    def __init__(
        self,
        *,
        form: str = "49",
        width: float = 1.0,
        in_channels: int = 3,
        stem_stride: int | None = None,
        swish: bool = False,
    ):
        super().__init__()
        check_option("SpineNet", "form", form, FORMS)
        self.form = FORMS[form]
        self.mobile = self.form.graph[0].kind == MBCONV
        self.scale = self.form.scale * width
        self.alpha = self.form.alpha
        act: Act = nn.SiLU if swish else nn.ReLU
        stem_stride = stem_stride or (2 if self.mobile else 4)
        self.stem, channels = self._new_stem(in_channels, stem_stride, act)
        self.joined = unread_inputs(self.form.graph)
        merges, groups = [], []
        for node in self.form.graph:
            into, stride = self._input(node, channels)
            edges = [self._edge(self.form.graph[i], node, act) for i in node.inputs]
            merges.append(Merge(edges, act) if len(edges) > 1 else nn.Identity())
            groups.append(self._group(into, node, stride, act))
        self.merges, self.groups = nn.ModuleList(merges), nn.ModuleList(groups)
        endpoint = max(1, round(self.form.endpoint * width))
        nodes = {node.level: i for i, node in enumerate(self.form.graph) if node.output}
        self.outputs = [nodes[level] for level in OUTPUTS]
        self.endpoints = nn.ModuleList(
            ConvNormAct(self._out(self.form.graph[i]), endpoint, 1, act=act) for i in self.outputs
        )
        self.feature_channels = [endpoint] * len(OUTPUTS)
        first = 2 ** self.form.graph[0].level
        self.feature_strides = [stem_stride * 2**level // first for level in OUTPUTS]

    def _new_stem(self, in_channels: int, stride: int, act: Act) -> tuple[nn.Sequential, int]:
        if self.mobile:
            check_option("SpineNet", "stem_stride", stride, (2, 1))
            channels = max(1, int(MOBILE_STEM * self.scale))
            stem = nn.Sequential(ConvNormAct(in_channels, channels, stride=stride, act=act))
            return stem, channels
        layers, pool = resnet_stem(in_channels, STEM, stride, "SpineNet")
        return nn.Sequential(*layers, *pool), STEM

    def _base(self, level: int) -> int:
        levels = MOBILE_LEVELS if self.mobile else LEVELS
        return max(1, int(levels[level] * self.scale))

    def _out(self, node: Node) -> int:
        return EXPAND[node.kind] * self._base(node.level)

    def _input(self, node: Node, stem: int) -> tuple[int, int]:
        """Return channels and stride of a block's first layer."""
        if len(node.inputs) > 1:
            return self._out(node), 1
        for before in node.inputs:  # of the stem: one, or the image's first maps
            parent = self.form.graph[before]
            return self._out(parent), 2 ** (node.level - parent.level)
        return stem, 1

    def _edge(self, parent: Node, node: Node, act: Act) -> Edge:
        return Edge(
            self._out(parent),
            self._out(node),
            base=self._base(parent.level),
            down=node.level - parent.level,
            alpha=self.alpha,
            mobile=self.mobile,
            act=act,
        )

    def _group(self, in_channels: int, node: Node, stride: int, act: Act) -> nn.Sequential:
        blocks = []
        for _ in range(self.form.repeats):
            channels = self._base(node.level)
            blocks.append(new_block(in_channels, channels, kind=node.kind, stride=stride, act=act))
            in_channels, stride = self._out(node), 1
        return nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self.stem(x)
        first = self.form.graph[0].level
        height, width = x.shape[2], x.shape[3]
        maps: list[Tensor] = []
        for i, (node, merge, group) in enumerate(
            zip(self.form.graph, self.merges, self.groups, strict=True)
        ):
            if len(node.inputs) > 1:
                part = 2 ** (node.level - first)
                size = [-(-height // part), -(-width // part)]  # rounded up, as strides do
                joining = [maps[j] for j in self.joined.get(i, ())]
                merged = merge([maps[j] for j in node.inputs], joining, size)
            else:
                merged = maps[node.inputs[0]] if node.inputs else x
            maps.append(group(merged))
        return [end(maps[i]) for end, i in zip(self.endpoints, self.outputs, strict=True)]


def mean_map(maps: list[Tensor]) -> Tensor:
    """Average maps of several scales, brought to the size of the first by nearest neighbours.

    Shape: (n, c, h, w), then coarser ones -> (n, c, h, w)
    """
    finest = maps[0]
    size = [finest.shape[2], finest.shape[3]]
    total = finest
    for each in maps[1:]:
        total = torch.add(total, F.interpolate(each, size))
    return total / len(maps)
