import pytest
import torch
from torch.nn import functional as F

from convatlas.blocks import TrainingOutputs, loss_with_auxiliary

TARGET = torch.tensor([0, 2])


def test_each_auxiliary_classifier_adds_its_share():
    logits = torch.randn(3, 2, 4)
    outputs = TrainingOutputs(logits[0], (logits[1], logits[2]))
    picked = logits.log_softmax(2)[:, [0, 1], TARGET].mean(1).neg()
    loss = loss_with_auxiliary(outputs, TARGET, F.cross_entropy, weight=0.3)
    torch.testing.assert_close(loss, picked[0] + 0.3 * picked[1] + 0.3 * picked[2])


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_plain_logits_have_the_plain_loss(weight):
    logits = torch.randn(2, 4)
    loss = loss_with_auxiliary(logits, TARGET, F.cross_entropy, weight=weight)
    assert torch.equal(loss, F.cross_entropy(logits, TARGET))
