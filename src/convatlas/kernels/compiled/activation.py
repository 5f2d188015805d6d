"""Activations inside a kernel: the value, and the gradient through it, from the same input.

What is clipped to a range (nothing, ReLU, ReLU6) is one case with two bounds; the others have a
number each.
"""

import numpy as np

from convatlas.kernels.codegen.vector import (
    add,
    between,
    divide,
    fma,
    largest,
    mul,
    nearest,
    power_of_two,
    smallest,
    splat,
    sub,
)
from convatlas.kernels.layout.activations import HARD_SWISH, SILU
from convatlas.kernels.runtime.compiler import inner

_ONE, _HALF = np.float32(1), np.float32(0.5)
_LOG2_E = np.float32(1.4426950408889634)
_LN2_HIGH, _LN2_LOW = np.float32(-0.693359375), np.float32(2.12194440e-4)
_REACH = np.float32(87)  # beyond it exp leaves float32
# exp(r) on |r| <= ln(2) / 2: Cephes expf, relative error 2e-7.
_C5, _C4 = np.float32(1.9875691500e-4), np.float32(1.3981999507e-3)
_C3, _C2 = np.float32(8.3334519073e-3), np.float32(4.1665795894e-2)
_C1, _C0 = np.float32(1.6666665459e-1), np.float32(5.0000001201e-1)
_SIXTH, _THREE, _ZERO = np.float32(1 / 6), np.float32(3), np.float32(0)


@inner
def _exp(v):
    v = smallest(largest(v, splat(-_REACH)), splat(_REACH))
    whole = nearest(mul(v, splat(_LOG2_E)))
    r = fma(whole, splat(_LN2_LOW), fma(whole, splat(_LN2_HIGH), v))
    y = fma(fma(splat(_C5), r, splat(_C4)), r, splat(_C3))
    y = fma(fma(fma(y, r, splat(_C2)), r, splat(_C1)), r, splat(_C0))
    return mul(add(fma(mul(y, r), r, r), splat(_ONE)), power_of_two(whole))


@inner
def _sigmoid(v):
    return divide(splat(_ONE), add(splat(_ONE), _exp(sub(splat(_ZERO), v))))


@inner
def activate(act, v, clip_min, clip_max):
    """Return the activation of v."""
    if act == SILU:
        return mul(v, _sigmoid(v))
    if act == HARD_SWISH:
        gate = mul(add(v, splat(_THREE)), splat(_SIXTH))
        return mul(v, smallest(largest(gate, splat(_ZERO)), splat(_ONE)))
    return smallest(largest(v, clip_min), clip_max)


@inner
def through(act, v, clip_min, clip_max, gradient):
    """Return the gradient with respect to v, given the one of its activation."""
    if act == SILU:
        gate = _sigmoid(v)
        return mul(gradient, mul(gate, fma(v, sub(splat(_ONE), gate), splat(_ONE))))
    if act == HARD_SWISH:
        three = splat(_THREE)
        middle = fma(v, splat(_SIXTH * 2), splat(_HALF))
        inner_part = between(v, sub(splat(_ZERO), three), three, mul(gradient, middle))
        return add(
            inner_part, sub(gradient, between(v, splat(-np.float32(np.inf)), three, gradient))
        )
    return between(v, clip_min, clip_max, gradient)
