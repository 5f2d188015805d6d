"""Parts that two or more models use unchanged.

Here: conv-norm-act, the frame and units of residual networks, channel rounding, starting weights,
the checks of an input and an option.
Not here: a part with one user; it lives in its model's file until a second appears.
"""

from convatlas.blocks.auxiliary import TrainingOutputs, loss_with_auxiliary
from convatlas.blocks.branch_stages import (
    new_stages,
    smallest_input,
    split_at_halvings,
    with_total_stride,
)
from convatlas.blocks.branches import Branches, Conv, Fork, Pool, PoolUp, Step, new_layers
from convatlas.blocks.channels import round_channels
from convatlas.blocks.conv_norm_act import ConvNormAct
from convatlas.blocks.feature_pyramid import FeaturePyramid
from convatlas.blocks.generated_conv import (
    GeneratedConv,
    KernelGenerator,
    generate_kernels,
    ordinary_kernels,
)
from convatlas.blocks.image_size import check_exact_image, check_image
from convatlas.blocks.initial_weights import draw_he_normal
from convatlas.blocks.mb_conv import DropConnect, MBConv
from convatlas.blocks.options import check_option
from convatlas.blocks.pre_activation import PreActUnit, conv_without_bias, norm_relu
from convatlas.blocks.residual_stages import NewUnit, residual_stages, resnet_stem
from convatlas.blocks.response_norm import local_response_norm_layer
from convatlas.blocks.reversible import Coupling, ReversibleSequence
from convatlas.blocks.same_conv import SameConv
from convatlas.blocks.shortcuts import SHORTCUTS, ShortcutA, new_shortcut
from convatlas.blocks.signal_shape import check_frames, check_waveform

__all__ = [
    "SHORTCUTS",
    "Branches",
    "Conv",
    "ConvNormAct",
    "Coupling",
    "DropConnect",
    "FeaturePyramid",
    "Fork",
    "GeneratedConv",
    "KernelGenerator",
    "MBConv",
    "NewUnit",
    "Pool",
    "PoolUp",
    "PreActUnit",
    "ReversibleSequence",
    "SameConv",
    "ShortcutA",
    "Step",
    "TrainingOutputs",
    "check_exact_image",
    "check_frames",
    "check_image",
    "check_option",
    "check_waveform",
    "conv_without_bias",
    "draw_he_normal",
    "generate_kernels",
    "local_response_norm_layer",
    "loss_with_auxiliary",
    "new_layers",
    "new_shortcut",
    "new_stages",
    "norm_relu",
    "ordinary_kernels",
    "residual_stages",
    "resnet_stem",
    "round_channels",
    "smallest_input",
    "split_at_halvings",
    "with_total_stride",
]
