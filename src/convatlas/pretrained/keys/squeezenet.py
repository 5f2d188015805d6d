"""SqueezeNet under torchvision's names."""

from convatlas.models.classify.squeezenet import Fire, SqueezeNet


def torchvision_paths(model: SqueezeNet) -> list[tuple[str, str]]:
    """List layers of torchvision's `squeezenet1_0` and `squeezenet1_1`, and ours.

    There one list holds convolutions, activations, poolings and fires; ours is that list, cut.
    """
    paths = [("features.0", "stages.0.0"), ("classifier.1", "classifier.1")]
    number = 0
    for s, stage in enumerate(model.stages.children()):
        for i, layer in enumerate(stage.children()):
            if isinstance(layer, Fire):
                for part in ("squeeze", "expand1x1", "expand3x3"):
                    paths.append((f"features.{number}.{part}", f"stages.{s}.{i}.{part}"))
            number += 1
    return paths
