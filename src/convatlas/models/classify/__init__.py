"""Image classifiers: pixels in, one logit a class out.

Here: one family a file, named as its paper names it.
Not here: networks that answer with boxes, masks, sounds or words; they have shelves of their own.
"""

from convatlas.models.classify import (
    alexnet,
    densenet,
    densenet_cifar,
    efficientnet,
    fractalnet,
    fractalnet_cifar,
    lenet,
    linear_classifier,
    mnasnet,
    mobilenet_v1,
    mobilenet_v2,
    mobilenet_v3,
    network_in_network,
    preact_resnet,
    preact_resnet_cifar,
    pydmobilenet,
    resnet,
    resnet_cifar,
    revnet,
    revnet_cifar,
    shufflenet_v2,
    squeezenet,
    vgg,
    wide_resnet,
)

__all__ = [
    "alexnet",
    "densenet",
    "densenet_cifar",
    "efficientnet",
    "fractalnet",
    "fractalnet_cifar",
    "lenet",
    "linear_classifier",
    "mnasnet",
    "mobilenet_v1",
    "mobilenet_v2",
    "mobilenet_v3",
    "network_in_network",
    "preact_resnet",
    "preact_resnet_cifar",
    "pydmobilenet",
    "resnet",
    "resnet_cifar",
    "revnet",
    "revnet_cifar",
    "shufflenet_v2",
    "squeezenet",
    "vgg",
    "wide_resnet",
]
