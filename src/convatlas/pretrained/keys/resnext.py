"""ResNeXt under the names of torchvision and timm: those of ResNet."""

from convatlas.pretrained.keys.resnet import timm_paths, torchvision_paths

__all__ = ["timm_paths", "torchvision_paths"]
