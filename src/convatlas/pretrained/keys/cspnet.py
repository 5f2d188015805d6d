"""CSPDarknet-53 under the names of timm, whose weights need `slope=0.01`."""

from convatlas.models.classify.cspnet import CSPDarknet
from convatlas.models.classify.darknet_units import Unit
from convatlas.pretrained.keys.darknet import timm_conv, timm_unit


def timm_paths(model: CSPDarknet) -> list[tuple[str, str]]:
    """List layers of timm's `cspdarknet53` and ours."""
    paths = timm_conv("stem.conv1", "stages.0.0")
    for s, stage in enumerate(list(model.stages)[1:], start=1):
        theirs, ours = f"stages.{s - 1}", f"stages.{s}"
        paths += timm_conv(f"{theirs}.conv_down", f"{ours}.0")
        paths += timm_conv(f"{theirs}.conv_exp", f"{ours}.1.split")
        units = sum(isinstance(m, Unit) for m in stage.modules())
        for i in range(units):
            paths += timm_unit(f"{theirs}.blocks.{i}", f"{ours}.1.through.{i}")
        paths += timm_conv(f"{theirs}.conv_transition_b", f"{ours}.1.through.{units}")
        paths += timm_conv(f"{theirs}.conv_transition", f"{ours}.1.mix")
    return [*paths, ("head.fc", "classifier")]
