"""Blocks of the atlas that say `only_calls_and_adds` do no more, in training and in evaluation."""

import copy

import pytest
import torch

from convatlas.kernels import fast_layers
from convatlas.kernels.layers.fast_layers import only_calls_and_adds
from convatlas.models import find_entry

BLOCKS = {  # the class, and a network that is built of it
    "MBConv": "efficientnet_lite0",
    "PreActUnit": "preact_resnet110_cifar",
    "Block": "cspmobilenet_v2",
    "Unit": "cspdarknet53",
    "InvertedResidual": "mobilenet_v2",
    "PydUnit": "pydmobilenet29_cifar",
    "XceptionBlock": "xception",
}


@pytest.mark.parametrize(("block", "name"), BLOCKS.items())
def test_a_network_of_such_blocks_gives_the_same_with_the_kernels(block, name):
    torch.manual_seed(0)
    plain, inputs = find_entry(name).cls.tiny()
    assert {type(m).__name__ for m in plain.modules() if only_calls_and_adds(m)} == {block}
    plain = plain.double()  # which no kernel takes: torch computes, the norms still pass through
    inputs = tuple(x.double() for x in inputs)
    for training in (True, False):
        plain.train(training)
        fast = fast_layers(copy.deepcopy(plain))
        torch.manual_seed(1)
        expected = plain(*inputs)
        torch.manual_seed(1)
        torch.testing.assert_close(fast(*inputs), expected)
