"""VGG under the names of torchvision and timm, which number layers from the first to the last."""

from itertools import count

from convatlas.models.classify.vgg import VGG


def torchvision_paths(model: VGG) -> list[tuple[str, str]]:
    """List layers of torchvision's `vgg11` to `vgg19`, with batch norm and without, and ours."""
    number = count()
    paths = []
    for s, stage in enumerate(model.stages):
        for i, layer in enumerate(stage.children()):
            theirs = f"features.{next(number)}"
            if layer.state_dict():
                paths.append((theirs, f"stages.{s}.{i}"))
    return [*paths, *((f"classifier.{i}", f"classifier.{i}") for i in (0, 3, 6))]


def timm_paths(model: VGG) -> list[tuple[str, str]]:
    """List layers of timm's `vgg11` to `vgg19` and ours; its first linear ones are convolutions."""
    names = {"classifier.0": "pre_logits.fc1", "classifier.3": "pre_logits.fc2"}
    names["classifier.6"] = "head.fc"
    return [(names.get(theirs, theirs), ours) for theirs, ours in torchvision_paths(model)]
