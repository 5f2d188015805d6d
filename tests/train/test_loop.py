import signal
import time

import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from convatlas.train.log import RunLog
from convatlas.train.loop import train
from convatlas.train.recipe import Recipe
from convatlas.train.stop import StopRequest
from convatlas.train.tasks.classify import Classify

RECIPE = Recipe(epochs=8, batch_size=8, lr=0.02, clip_norm=0.0)


def stripes(count=48):
    """Two classes that a linear rule separates: bright on the left, bright on the right."""
    labels = torch.arange(count) % 2
    images = torch.randint(0, 60, (count, 1, 6, 6), generator=torch.Generator().manual_seed(1))
    for image, label in zip(images, labels, strict=True):
        image[..., 3 * label : 3 * label + 3] += 150
    return TensorDataset(images.to(torch.uint8), labels)


def task(**options):
    def normalise(batch):
        return batch.float() / 255 - 0.5

    return Classify(
        stripes(), stripes(16), num_classes=2, augment=lambda x: x, normalise=normalise, **options
    )


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 2)
    )


def test_learns_and_logs_every_epoch():
    log = RunLog()
    result = train(network(), task(), RECIPE, log=log)
    assert result.ended == "epochs"
    assert result.steps == 8 * 6
    assert result.figures["val_accuracy"] == 1.0
    assert [row["epoch"] for row in log.rows] == list(range(1, 9))
    assert log.rows[-1]["train_loss"] < 0.3 * log.rows[0]["train_loss"]


def test_same_seed_same_weights():
    first, second = network(), network()
    train(first, task(), RECIPE)
    torch.rand(7)  # whatever ran in between must not matter
    train(second, task(), RECIPE)
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)


def test_another_seed_gives_other_weights():
    first, second = network(), network()
    train(first, task(), RECIPE)
    train(second, task(), RECIPE.with_options(seed=1))
    assert not torch.equal(first[0].weight, second[0].weight)


def test_a_time_limit_ends_the_run_with_its_schedule_done():
    log = RunLog()
    start = time.perf_counter()
    result = train(network(), task(), RECIPE.with_options(epochs=10**6), limit_s=0.5, log=log)
    assert result.ended == "time"
    assert time.perf_counter() - start < 30  # it would go on for hours
    assert log.rows[-1]["lr"] == pytest.approx(RECIPE.lr * RECIPE.final_lr_fraction, rel=0.5)


def test_keeps_the_average_that_was_validated():
    model, log = network(), RunLog()
    bench = task()
    result = train(model, bench, RECIPE, log=log)
    _, validation = bench.loaders(8, 0)
    again = bench.validate(model, validation, lambda pair: pair)
    assert again["val_loss"] == pytest.approx(result.figures["val_loss"], rel=1e-5)


def test_stop_request_ends_before_the_next_step():
    stop = StopRequest()
    stop.number = signal.SIGINT
    result = train(network(), task(), RECIPE, stop=stop)
    assert (result.ended, result.steps) == ("interrupted", 0)
    assert result.figures == {}  # nothing was learnt that could be judged, kept or exported


def test_a_loss_that_is_no_number_is_reported():
    result = train(network(), task(), RECIPE.with_options(lr=1e30, warmup=0.0))
    assert result.ended == "diverged"


def test_loss_equals_cross_entropy_with_smoothing_by_hand():
    model, bench = network(), task(label_smoothing=0.2)
    images, labels = stripes(8)[:]
    model.eval()
    log_p = model(images.float() / 255 - 0.5).log_softmax(1)
    target = torch.full((8, 2), 0.2 / 2)
    target[torch.arange(8), labels] += 0.8
    expected = -(target * log_p).sum(1).mean()
    torch.testing.assert_close(bench.loss(model, (images, labels)), expected)


def test_a_last_batch_of_one_is_dropped():
    data = torch.utils.data.Subset(stripes(), range(17))
    bench = Classify(data, data, num_classes=2, augment=lambda x: x, normalise=lambda x: x)
    train_loader, validation = bench.loaders(8, 0)
    assert [len(labels) for _, labels in train_loader] == [8, 8]
    assert sum(len(labels) for _, labels in validation) == 17


class WithAuxiliary(nn.Module):
    """A linear classifier that in training answers twice and says how to weigh it."""

    def __init__(self):
        super().__init__()
        self.answer, self.aside = nn.Linear(36, 2), nn.Linear(36, 2)
        self.shares: list[float] = []

    def forward(self, x):
        x = x.flatten(1)
        return (self.answer(x), self.aside(x)) if self.training else self.answer(x)

    def loss(self, outputs, target, criterion):
        logits, aside = outputs
        return criterion(logits, target) + 0.3 * criterion(aside, target)

    def training_progress(self, share):
        self.shares.append(share)


def test_a_network_may_bring_its_own_loss_and_hear_how_far_the_run_is():
    torch.manual_seed(0)
    model = WithAuxiliary()
    before = model.aside.weight.clone()
    result = train(model, task(), RECIPE)
    assert result.figures["val_accuracy"] == 1.0
    assert not torch.equal(model.aside.weight, before)
    assert model.shares == pytest.approx([step / 48 for step in range(48)])


def test_the_loss_of_a_network_is_that_of_its_parts():
    torch.manual_seed(0)
    model, bench = WithAuxiliary(), task(label_smoothing=0.1)
    images, labels = next(iter(bench.loaders(8, seed=0)[0]))
    x = (images.float() / 255 - 0.5).flatten(1)
    parts = [
        nn.functional.cross_entropy(layer(x), labels, label_smoothing=0.1)
        for layer in (model.answer, model.aside)
    ]
    got = bench.loss(model.train(), (images, labels))
    torch.testing.assert_close(got, parts[0] + 0.3 * parts[1])
    torch.testing.assert_close(bench.loss(model.eval(), (images, labels)), parts[0])


def test_learnt_weights_move_by_their_share_of_the_rate():
    recipe = RECIPE.with_options(epochs=1 / 6, ema_decay=0.0, weight_decay=0.0, optimizer="sgd")
    moved = []
    for share in (1.0, 0.1, 0.0):
        model = network()
        before = model[0].weight.clone()
        recipe = recipe.with_options(pretrained_lr_fraction=share, warmup=0.0)
        assert train(model, task(), recipe, pretrained_names={"0.weight"}).steps == 1
        moved.append(float((model[0].weight - before).detach().norm()))
    assert moved[1] == pytest.approx(0.1 * moved[0], rel=1e-2)
    assert moved[2] == 0.0


class Worsening(Classify):
    """Validates as given, whatever the weights; remembers the weights that were validated."""

    def __init__(self, accuracies, losses=None):
        data = stripes()
        super().__init__(
            data, stripes(16), num_classes=2, augment=lambda x: x, normalise=lambda x: x / 255 - 0.5
        )
        self.given = list(zip(accuracies, losses or [0.5] * len(accuracies), strict=True))
        self.seen = []

    def validate(self, model, loader, gather):
        self.seen.append({name: value.clone() for name, value in model.state_dict().items()})
        accuracy, loss = self.given[len(self.seen) - 1]
        return {"val_loss": loss, "val_accuracy": accuracy}


@pytest.mark.parametrize(
    ("accuracies", "losses", "kept"),
    [
        ([0.5, 0.9, 0.8, 0.1], None, 2),
        ([0.5, 0.9, 0.9, 0.1], None, 3),  # equals: the later one
        ([0.9, 0.9, 0.9, 0.9], [0.4, 0.2, 0.3, 0.9], 2),  # equally accurate: the lower loss
        ([0.5, 0.6, 0.9, 0.8], [0.4, 0.4, float("nan"), 0.5], 3),
    ],
)
@pytest.mark.parametrize("decay", [0.0, 0.9])
def test_the_weights_that_validated_best_are_kept(accuracies, losses, kept, decay):
    model, bench, log = network(), Worsening(accuracies, losses), RunLog()
    recipe = RECIPE.with_options(epochs=4, ema_decay=decay)
    result = train(model, bench, recipe, log=log)
    for name, value in model.state_dict().items():
        assert torch.equal(value, bench.seen[kept - 1][name]), name
    assert result.kept_epoch == kept
    assert result.figures["val_accuracy"] == accuracies[kept - 1]
    assert log.rows[-1]["kept_epoch"] == kept
    assert len(log.rows) == 4


def test_patience_ends_a_run_that_no_longer_gains():
    recipe = RECIPE.with_options(epochs=50, patience=3, lr=1e-12, ema_decay=0.0)
    log = RunLog()
    result = train(network(), still(task()), recipe, log=log)
    assert result.ended == "patience"
    assert [row["epoch"] for row in log.rows] == [1, 2, 3, 4]


def test_a_plateau_divides_the_rate_in_the_run():
    log = RunLog()
    options = {"schedule": "plateau", "lr_every": 0.25, "warmup": 0.0, "final_lr_fraction": 0.0}
    train(network(), still(task()), RECIPE.with_options(lr=1e-9, **options), log=log)
    rates = [row["lr"] / 1e-9 for row in log.rows]
    assert rates == pytest.approx([1, 1, 1, 0.1, 0.1, 0.01, 0.01, 0.001])


def test_a_task_hears_how_far_the_run_is():
    heard, asked = [], task()
    asked.training_progress = heard.append
    train(network(), asked, RECIPE.with_options(epochs=2))
    assert heard == pytest.approx([step / 12 for step in range(12)])


def still(asked):
    """Let each validation after the first be worse, whatever the network does."""
    losses = iter(range(1, 100))
    asked.validate = lambda *_: {"val_accuracy": 0.5, "val_loss": float(next(losses))}
    return asked
