"""AlexNet with one tower under torchvision's names."""

from torch import nn

from convatlas.models.classify.alexnet import AlexNet
from convatlas.pretrained.keys.layer_paths import layers_of

CONVOLUTIONS = (0, 3, 6, 8, 10)
LINEAR = (1, 4, 6)


def torchvision_paths(model: AlexNet) -> list[tuple[str, str]]:
    """List layers of torchvision's `alexnet` and ours."""
    ours = [path for _, _, path, _ in layers_of(model.stages, nn.Conv2d)]
    theirs = [f"features.{i}" for i in CONVOLUTIONS]
    hidden = (i for i, layer in enumerate(model.classifier) if isinstance(layer, nn.Linear))
    head = [(f"classifier.{i}", f"classifier.{j}") for i, j in zip(LINEAR, hidden, strict=True)]
    return [*zip(theirs, ours, strict=True), *head]
