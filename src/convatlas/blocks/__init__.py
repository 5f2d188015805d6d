"""Parts that two or more models use unchanged.

Here: conv-norm-act, channel rounding, the check of an input's size.
Not here: a part with one user; it lives in its model's file until a second appears.
"""

from convatlas.blocks.channels import round_channels
from convatlas.blocks.conv_norm_act import ConvNormAct
from convatlas.blocks.image_size import check_image

__all__ = ["ConvNormAct", "check_image", "round_channels"]
