import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from convatlas.metric import ACCURACY, BALANCED_ACCURACY
from convatlas.train.best import BestWeights
from convatlas.train.tasks.classify import Classify


def task_of(logits, labels, num_classes=3, **options):
    """A task whose images are the answers of a network that passes them on."""
    data = TensorDataset(logits, labels)
    options = {"augment": lambda x: x, "normalise": lambda x: x} | options
    return Classify(data, data, num_classes=num_classes, **options)


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


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_class_weights_make_the_loss_a_weighted_mean_by_hand(smoothing):
    logits = torch.tensor([[2.0, 0.0, -1.0], [0.5, 1.0, 0.0], [0.0, 3.0, 1.0]])
    labels, weights = torch.tensor([0, 1, 1]), torch.tensor([4.0, 1.0, 7.0])
    task = task_of(logits, labels, label_smoothing=smoothing, class_weights=weights)
    log_p = logits.log_softmax(1)
    target = torch.full((3, 3), smoothing / 3)
    target[torch.arange(3), labels] += 1 - smoothing
    expected = -(target * weights * log_p).sum() / (4.0 + 1.0 + 1.0)
    torch.testing.assert_close(task.loss(nn.Identity(), (logits, labels)), expected)


def test_the_validation_loss_has_no_class_weights():
    logits, labels = torch.randn(9, 3), torch.arange(9) % 3
    for weights in (None, torch.tensor([1.0, 5.0, 9.0])):
        task = task_of(logits, labels, class_weights=weights)
        figures = task.validate(nn.Identity(), task.loaders(4, 0)[1], lambda pair: pair)
        expected = nn.functional.cross_entropy(logits, labels)
        assert figures["val_loss"] == pytest.approx(float(expected))


class Answers(nn.Module):
    """Answers each image, which is its number, with a class that was given."""

    def __init__(self, answers):
        super().__init__()
        self.answers = nn.Parameter(nn.functional.one_hot(torch.tensor(answers), 2).float())

    def forward(self, x):
        return self.answers[x[:, 0].long()]


LABELS = [0] * 8 + [1] * 2
MOSTLY = [0] * 10  # 80 % right, 50 % balanced
FAIRLY = [0] * 5 + [1] * 5  # 70 % right, 81 % balanced


@pytest.mark.parametrize(("metric", "best"), [(ACCURACY, MOSTLY), (BALANCED_ACCURACY, FAIRLY)])
@pytest.mark.parametrize("order", [(MOSTLY, FAIRLY), (FAIRLY, MOSTLY)])
def test_the_metric_says_which_weights_are_kept(metric, best, order):
    task = task_of(torch.arange(10.0)[:, None], torch.tensor(LABELS), 2, metric=metric)
    kept, model = BestWeights(task.metric), Answers(MOSTLY)
    for epoch, answers in enumerate(order):
        figures = task.validate(Answers(answers), task.loaders(4, 0)[1], lambda pair: pair)
        kept.consider(Answers(answers), figures, epoch)
    kept.restore(model)
    assert model.answers.argmax(1).tolist() == best
    assert kept.figures.keys() == {"val_loss", "val_accuracy", f"val_{metric.key}"}


def test_balanced_accuracy_is_the_mean_over_the_classes_that_are_there():
    from torchmetrics.functional.classification import multiclass_accuracy

    random = torch.Generator().manual_seed(0)
    logits = torch.randn(60, 4, generator=random)
    labels = torch.randint(0, 3, (60,), generator=random).clamp(max=1) * 2  # classes 0 and 2
    task = task_of(logits, labels, 4, metric=BALANCED_ACCURACY)
    figures = task.validate(nn.Identity(), task.loaders(4, 0)[1], lambda pair: pair)
    each = multiclass_accuracy(logits, labels, num_classes=4, average="none")
    assert figures["val_balanced_accuracy"] == pytest.approx(float(each[[0, 2]].mean()))
