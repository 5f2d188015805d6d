"""DenseNet under the names of torchvision and timm, which agree on them."""

from convatlas.models.classify.dense_layers import DenseBlock
from convatlas.models.classify.densenet import DenseNet
from convatlas.pretrained.keys.layer_paths import conv_norm_paths, layers_of


def torchvision_paths(model: DenseNet) -> list[tuple[str, str]]:
    """List layers of torchvision's `densenet121` to `densenet201` and ours."""
    paths = conv_norm_paths("features.conv0", "features.norm0", "stages.0.0")
    blocks = list(layers_of(model.stages, DenseBlock))
    for number, (s, _, ours, block) in enumerate(blocks, start=1):
        for i in range(len(block.layers)):
            layer = f"features.denseblock{number}.denselayer{i + 1}"
            for k, part in enumerate(("first", "second"), start=1):
                paths += _norm_act_conv(layer, str(k), f"{ours}.layers.{i}.{part}")
        if number < len(blocks):
            paths += _norm_act_conv(f"features.transition{number}", "", f"stages.{s + 1}.0.0")
    last_stage, last_block = blocks[-1][2].split(".")[1:]
    norm = f"stages.{last_stage}.{int(last_block) + 1}"
    return [*paths, ("features.norm5", norm), ("classifier", "classifier")]


def _norm_act_conv(theirs: str, number: str, ours: str) -> list[tuple[str, str]]:
    return [(f"{theirs}.norm{number}", f"{ours}.0"), (f"{theirs}.conv{number}", f"{ours}.2")]


timm_paths = torchvision_paths
