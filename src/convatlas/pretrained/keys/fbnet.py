"""FBNet under timm's names."""

from convatlas.models.classify.fbnet import FBNet, SearchedBlock
from convatlas.pretrained.keys.layer_paths import conv_norm_paths, layers_of

PARTS = {"expand": "pw", "filter": "dw", "project": "pwl"}


def timm_paths(model: FBNet) -> list[tuple[str, str]]:
    """List layers of timm's `fbnetc_100`, and ours."""
    paths = conv_norm_paths("conv_stem", "bn1", "stages.0.0")
    paths += conv_norm_paths("conv_head", "bn2", "head")
    paths.append(("classifier", "classifier"))
    places = [f"blocks.{row}.{i}" for row, n in enumerate(model.repeats) for i in range(n)]
    blocks = [path for _, _, path, _ in layers_of(model.stages, SearchedBlock)]
    for theirs, ours in zip(places, blocks, strict=True):
        for k, (part, name) in enumerate(PARTS.items(), start=1):
            paths += conv_norm_paths(f"{theirs}.conv_{name}", f"{theirs}.bn{k}", f"{ours}.{part}")
    return paths
