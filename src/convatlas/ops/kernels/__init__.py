"""Hand-tuned CPU versions of operators, and the measured rule that picks them where they win.

Here: kernels that Numba compiles for this machine (`convatlas[fast]`), seen by torch as operators.
Not here: the operators' plain forms, which are functions in `ops` and stand in for any kernel.
"""

from convatlas.ops.kernels.accelerate import fast_layers, plain_layers
from convatlas.ops.kernels.depthwise import depthwise_conv1d, depthwise_conv2d
from convatlas.ops.kernels.freed_memory import keep_freed_memory
from convatlas.ops.kernels.gain import accelerate_cpu
from convatlas.ops.kernels.norm_act import batch_norm_act
from convatlas.ops.kernels.switch import available, enabled

__all__ = [
    "accelerate_cpu",
    "available",
    "batch_norm_act",
    "depthwise_conv1d",
    "depthwise_conv2d",
    "enabled",
    "fast_layers",
    "keep_freed_memory",
    "plain_layers",
]
