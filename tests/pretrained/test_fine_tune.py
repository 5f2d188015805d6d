"""Training on from a linear head: which layers, from which maps, and that only gains are kept."""

from math import nan

import pytest
import torch

import convatlas as ca
from convatlas.data import make_images, open_images
from convatlas.deadline import Deadline
from convatlas.models.split_network import layers_between
from convatlas.pipeline import fine_tune as module
from convatlas.pipeline.cut_shares import cut_shares, smallest_alike
from convatlas.pipeline.fine_tune import fine_tune
from convatlas.pipeline.keeping import Job
from convatlas.pipeline.transfer import choose_for_heads, compete_by_heads
from convatlas.pipeline.trials import TrialRunner
from convatlas.progress import Silent
from convatlas.tasks.classify import TASK
from convatlas.train.log import RunLog
from convatlas.train.recipe import Recipe
from convatlas.train.stop import StopRequest


@pytest.fixture
def head(weights, tmp_path):
    """A network with its head, and the runner that found it."""
    data = open_images(make_images(tmp_path / "photos", classes=3, per_class=16, size=64))
    with StopRequest() as stop:
        runner = TrialRunner(TASK, data, Recipe(), stop, Silent())
        job = Job(TASK, data, ca.Budget(macs=20_000_000), Recipe(), {})
        rows = TASK.pretrained([weights], data)
        trials, _ = choose_for_heads(job, runner, rows, Deadline(60.0))
        yield runner, compete_by_heads(runner, trials, Deadline(60.0), RunLog())[0]


def state_of(trial):
    return {key: value.clone() for key, value in trial.model.state_dict().items()}


def changed_since(trial, before):
    return {k for k, v in trial.model.state_dict().items() if not torch.equal(v, before[k])}


def pretend(monkeypatch, accuracy, loss=0.1):
    """Let training take a step away from the head, and claim a validation result."""

    def train(rest, task, recipe, **options):
        batch = next(iter(task.loaders(recipe.batch_size, 0)[0]))
        task.loss(rest.train(), batch).backward()
        torch.optim.SGD(rest.parameters(), lr=1e-3).step()
        figures = {"val_loss": loss, "val_accuracy": accuracy}
        return module_trained(figures=figures, epochs=3.0, kept_epoch=2.0)

    from convatlas.train.loop import Trained as module_trained

    monkeypatch.setattr(module, "train", train)


def test_the_maps_are_what_the_layers_before_the_cut_give(head):
    runner, trial = head
    kept = trial.maps
    shares = cut_shares(trial.model, trial.counted, torch.rand(2, 3, 96, 96), 48)
    assert 0.2 < shares[kept.cut] < 0.4
    rest = layers_between(trial.model, kept.cut.name, None).eval()
    order = torch.randperm(len(kept.train), generator=torch.Generator().manual_seed(0)).tolist()
    batches = runner.trial_data.frozen_batches(trial.counted.candidate, "train", order)
    images, labels = next(iter(batches))
    maps, kept_labels = kept.train[: len(labels)]
    assert kept_labels.tolist() == labels.tolist()
    with torch.no_grad():
        torch.testing.assert_close(rest(maps), trial.model(images), atol=1e-2, rtol=1e-2)


def test_maps_take_a_share_of_the_free_memory_and_no_more(head, monkeypatch):
    _, trial = head
    example, free = torch.rand(2, 3, 96, 96), 4 * 48 * 4 * 3000
    monkeypatch.setattr("convatlas.pipeline.cut_shares.free_memory_bytes", lambda: free)
    found = cut_shares(trial.model, trial.counted, example, 48)
    assert found
    assert max(cut.elements for cut in found) <= 3000
    held = cut_shares(trial.model, trial.counted, example, 48, held=9000)
    assert 3000 < max(cut.elements for cut in held) <= 9000


def test_what_is_better_is_kept_and_told(head, monkeypatch):
    _, trial = head
    before = state_of(trial)
    pretend(monkeypatch, accuracy=2.0)
    fine_tune(*head, Deadline(120.0), RunLog())
    assert trial.record.figures == {"loss": 0.1, "accuracy": 2.0}
    assert (trial.record.epochs, trial.record.kept_epoch) == (3.0, 2.0)
    assert "; then the last layers, " in trial.record.reason
    changed = changed_since(trial, before)
    assert changed
    assert not any("running" in key for key in changed)
    assert next(iter(before)) not in changed  # the first layer is before the cut


def test_what_is_no_better_leaves_network_and_record_as_they_were(head, monkeypatch):
    runner, trial = head
    before, record, kept = state_of(trial), trial.record.model_copy(), trial.maps

    def unchanged():
        same = trial.record.figures == record.figures and trial.record.reason == record.reason
        return same and not changed_since(trial, before)

    few = trial.record.validated
    # Few validation examples judge by the loss, many by the metric.
    for validated, accuracy, loss in ((few, 1.0, 99.0), (few, 1.0, nan), (500, -1.0, 0.0)):
        trial.maps, trial.record.validated = kept, validated
        pretend(monkeypatch, accuracy, loss)
        fine_tune(runner, trial, Deadline(120.0), RunLog())
        assert unchanged()

    def short_of_memory(rest, *_, **__):
        with torch.no_grad():
            next(rest.parameters()).add_(1)
        raise RuntimeError("not enough memory: you tried to allocate 1 bytes")

    trial.maps = kept
    monkeypatch.setattr(module, "train", short_of_memory)
    fine_tune(runner, trial, Deadline(120.0), RunLog())
    assert unchanged()

    def refuse(*_, **__):
        raise AssertionError("training began")

    trial.maps = kept
    monkeypatch.setattr(module, "train", refuse)
    fine_tune(runner, trial, Deadline(1.0), RunLog())  # without time
    trial.maps = None
    fine_tune(runner, trial, Deadline(120.0), RunLog())  # without maps
    assert unchanged()


def test_other_cuts_get_the_same_maps_as_the_network_itself(head):
    runner, trial = head
    shares = cut_shares(trial.model, trial.counted, torch.rand(2, 3, 96, 96), 48)
    kept = trial.maps
    for share in (0.1, 0.6):
        trial.maps = kept
        cut = smallest_alike(shares, share)
        assert cut != kept.cut
        train, val = module._maps_at(runner, trial, trial.model, cut)
        rest = layers_between(trial.model, cut.name, None).eval()
        whole = layers_between(trial.model, kept.cut.name, None).eval()
        assert torch.equal(val[:][1], kept.val[:][1])
        with torch.no_grad():
            expected, found = whole(kept.train[:8][0]), rest(train[:8][0])
        torch.testing.assert_close(found, expected, atol=1e-2, rtol=1e-2)


@pytest.mark.parametrize("freeze", ["4", "all-but-head"])
def test_parts_that_shall_stay_as_they_are_are_not_trained_on(head, monkeypatch, freeze):
    runner, trial = head
    before = state_of(trial)
    runner.recipe = runner.recipe.with_options(freeze=freeze)
    pretend(monkeypatch, accuracy=2.0)
    fine_tune(runner, trial, Deadline(120.0), RunLog())
    moved = {name.rpartition(".")[0] for name in changed_since(trial, before)}
    assert not any(
        name.startswith(("stages.0", "stages.1", "stages.2", "stages.3")) for name in moved
    )
    assert bool(moved) == (freeze == "4")
