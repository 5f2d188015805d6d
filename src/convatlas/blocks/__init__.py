"""Parts that two or more models use unchanged.

Here: conv-norm-act, channel rounding, starting weights, the checks of an input and an option.
Not here: a part with one user; it lives in its model's file until a second appears.
"""

from convatlas.blocks.channels import round_channels
from convatlas.blocks.conv_norm_act import ConvNormAct
from convatlas.blocks.image_size import check_exact_image, check_image
from convatlas.blocks.initial_weights import draw_he_normal
from convatlas.blocks.options import check_option

__all__ = [
    "ConvNormAct",
    "check_exact_image",
    "check_image",
    "check_option",
    "draw_he_normal",
    "round_channels",
]
