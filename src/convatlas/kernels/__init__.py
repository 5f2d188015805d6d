"""Hand-tuned CPU versions of operators, and the measured rule that picks them where they win.

Here: kernels that Numba compiles for this machine, seen by torch as operators.
Not here: the operators' plain forms, which are functions in `ops` and stand in for any kernel.
"""

from convatlas.kernels.layers.batch_norm_act import batch_norm_act
from convatlas.kernels.layers.choose import accelerate_cpu, use_fast_kernels
from convatlas.kernels.layers.depthwise import depthwise_conv1d, depthwise_conv2d
from convatlas.kernels.layers.fast_layers import fast_layers, restore_layers
from convatlas.kernels.runtime.dispatch import available, enabled
from convatlas.kernels.runtime.freed_memory import keep_freed_memory

__all__ = [
    "accelerate_cpu",
    "available",
    "batch_norm_act",
    "depthwise_conv1d",
    "depthwise_conv2d",
    "enabled",
    "fast_layers",
    "keep_freed_memory",
    "restore_layers",
    "use_fast_kernels",
]
