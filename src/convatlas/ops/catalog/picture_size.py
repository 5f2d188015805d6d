"""Small numbers that show the same connectivity: a picture of 512 channels cannot be read."""

from collections.abc import Mapping
from typing import Any

from convatlas.ops.arithmetic import effective_kernel

CHANNELS = 6  # in a picture, about
SIDES = {1: 9, 2: 7, 3: 5}  # positions, by axes
VERTICES = 10
KERNEL = 7


def picture_options(options: Mapping[str, Any], axes: int) -> dict[str, Any]:
    """Return the options of a kind, with those that are too large for a picture reduced.

    Groups stay whole, a widening stays a widening, and the input stays larger than the window.

    Args:
        axes: of the input, after the channels.
    """
    small = dict(options) | _small_channels(options)
    if options.get("kernel", 0) > KERNEL:  # odd stays odd: only then is there a middle
        small["kernel"] = KERNEL - (options["kernel"] + 1) % 2
    if "size" in options:
        small["size"] = _small_side(small, axes)
    if "vertices" in options:
        small["vertices"] = min(options["vertices"], VERTICES)
    return small


def _small_channels(options: Mapping[str, Any]) -> dict[str, int]:
    keys = [key for key in options if key.endswith("channels")]
    groups = options.get("groups", 1)
    alone = groups > 1 and groups == options.get("in_channels")  # depthwise, said with groups
    few = min(groups, CHANNELS if alone else 4)
    part = 1 if alone else max(2, CHANNELS // few)
    small = {key: few * min(options[key] // groups, part) for key in keys}
    if small.get("out_channels") == small.get("in_channels"):
        widening = options.get("out_channels", 1) > options.get("in_channels", 1)
        if widening:
            small["out_channels"] += few if few > 1 else 2
    return small | ({"groups": few} if "groups" in options else {})


def _small_side(options: Mapping[str, Any], axes: int) -> int:
    span = effective_kernel(
        max(options.get("kernels", (options.get("kernel", 1),))), options.get("dilation", 1)
    )
    wanted = max(SIDES[axes], span + 2 if axes < 3 else span)
    if "output_padding" in options:  # transposed: the output is the larger one
        wanted = max(3, SIDES[axes] // options["stride"])
    return min(options["size"], wanted)
