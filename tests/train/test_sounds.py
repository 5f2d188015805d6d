"""Training and validation of sounds: windows, mixing, figures of whole sounds."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import TensorDataset

from convatlas.metric import BALANCED_ACCURACY
from convatlas.train.tasks.sounds import ClassifySounds


class Given(nn.Module):
    """Answers with its input."""

    def forward(self, x):
        return x


def task(logits, places, labels, **options):
    data = TensorDataset(torch.tensor(logits), torch.tensor(places))
    named = {"augment": lambda x: x, "normalise": lambda x: x, "num_classes": 2, **options}
    return ClassifySounds(data, data, labels=torch.tensor(labels), **named)


def test_the_windows_of_a_sound_answer_together():
    logits = [[2.0, 0.0], [0.0, 5.0], [3.0, 0.0], [1.0, 0.0]]
    found = task(logits, [0, 0, 1, 2], [1, 0, 1], metric=BALANCED_ACCURACY)
    _, loader = found.loaders(1, 0)
    figures = found.validate(Given(), loader, lambda pair: pair)
    windows = functional.softmax(torch.tensor(logits), dim=1)
    sounds = torch.stack([windows[:2].mean(0), windows[2], windows[3]])
    expected = functional.nll_loss(sounds.log(), torch.tensor([1, 0, 1]))
    assert figures["val_loss"] == pytest.approx(float(expected))
    assert figures["val_accuracy"] == pytest.approx(2 / 3)
    assert figures["val_balanced_accuracy"] == pytest.approx(3 / 4)


def test_mixed_sounds_have_both_labels():
    x, labels, others = torch.randn(4, 2), torch.tensor([0, 1, 1, 0]), torch.tensor([1, 0, 3, 2])
    mixed = task([[0.0, 0.0]], [0], [0], mixed=lambda b: (b, others, 0.75))
    plain = task([[0.0, 0.0]], [0], [0])
    model = Given().train()
    expected = 0.75 * plain.loss(model, (x, labels)) + 0.25 * plain.loss(model, (x, labels[others]))
    torch.testing.assert_close(mixed.loss(model, (x, labels)), expected)


def test_a_network_that_answers_for_other_classes_is_refused():
    found = task([[0.0, 0.0]], [0], [0], num_classes=3)
    with pytest.raises(ValueError, match="must answer for 3 classes, got 2"):
        found.validate(Given(), found.loaders(1, 0)[1], lambda pair: pair)
