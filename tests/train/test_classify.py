import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from convatlas.train.tasks.classify import Classify


def task_of(logits, labels, num_classes=3):
    """A task whose images are the answers of a network that passes them on."""
    data = TensorDataset(logits, labels)
    return Classify(data, data, num_classes=num_classes, augment=lambda x: x, normalise=lambda x: x)


def test_validation_counts_right_answers_over_all_batches():
    from torchmetrics.functional.classification import multiclass_accuracy

    random = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(50, 3, generator=random), torch.arange(50) % 3
    task = task_of(logits, labels)
    _, loader = task.loaders(3, 0)
    assert len(loader) > 1
    figures = task.validate(nn.Identity(), loader, lambda pair: pair)
    expected = multiclass_accuracy(logits, labels, num_classes=3, average="micro")
    assert figures["val_accuracy"] == pytest.approx(float(expected))
    loss = nn.functional.cross_entropy(logits, labels)
    assert figures["val_loss"] == pytest.approx(float(loss))


def test_a_network_of_another_number_of_classes_is_refused():
    task = task_of(torch.zeros(4, 3), torch.zeros(4, dtype=torch.long), num_classes=5)
    _, loader = task.loaders(2, 0)
    with pytest.raises(ValueError, match="must answer for 5 classes, got 3"):
        task.validate(nn.Identity(), loader, lambda pair: pair)
