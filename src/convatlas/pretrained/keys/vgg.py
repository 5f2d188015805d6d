"""VGG under torchvision's names, which number the layers from the first to the last."""

from itertools import count

from convatlas.models.classify.vgg import VGG


def torchvision_paths(model: VGG) -> list[tuple[str, str]]:
    """Layers of torchvision's `vgg11` to `vgg19`, with batch norm and without, and ours."""
    number = count()
    paths = []
    for s, stage in enumerate(model.stages):
        for i, layer in enumerate(stage.children()):
            theirs = f"features.{next(number)}"
            if layer.state_dict():
                paths.append((theirs, f"stages.{s}.{i}"))
    return [*paths, *((f"classifier.{i}", f"classifier.{i}") for i in (0, 3, 6))]
