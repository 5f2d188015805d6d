import pytest
import torch

from convatlas.data import open_images
from convatlas.pipeline.config import Trial
from convatlas.pipeline.trials import LiveTrial, OutOfMemory, TrialRunner, _named_memory
from convatlas.progress import Silent
from convatlas.search.budget import Budget
from convatlas.search.costed import count_candidate
from convatlas.search.known_curves import known_curves
from convatlas.search.space import Candidate
from convatlas.tasks.classify import TASK
from convatlas.train.log import RunLog
from convatlas.train.recipe import Recipe
from convatlas.train.stop import StopRequest


def test_a_round_that_diverges_is_undone():
    runner = TrialRunner(TASK, open_images("digits"), Recipe(epochs=1), StopRequest(), Silent())
    candidate = Candidate(
        "linear_classifier", {"in_channels": 1, "num_classes": 10, "size": 21}, {"size": 21}
    )
    record = Trial(model=candidate.name, options={}, example={"size": 21}, input="21 px")
    trial = LiveTrial(count_candidate(candidate, Budget()), record)
    assert runner.train(trial, None, title="sane").ended == "epochs"
    accuracy = record.figures["accuracy"]
    assert record.epochs == 1
    before = [p.detach().clone() for p in trial.model.parameters()]
    assert accuracy > 0.5

    runner.recipe = Recipe(epochs=1, lr=1e30, warmup=0.0)
    assert runner.train(trial, None, title="wild").ended == "diverged"
    assert record.figures["accuracy"] == accuracy
    assert record.epochs == 1  # those that are in the weights
    for now, then in zip(trial.model.parameters(), before, strict=True):
        assert torch.equal(now, then)


def test_a_network_has_one_count_of_epochs():
    runner = TrialRunner(TASK, open_images("digits"), Recipe(epochs=0.5), StopRequest(), Silent())
    options = {"in_channels": 1, "num_classes": 10, "size": 21}
    candidate = Candidate("linear_classifier", options, {"size": 21})
    record = Trial(model=candidate.name, options={}, example={"size": 21}, input="21 px")
    trial, log = LiveTrial(count_candidate(candidate, Budget()), record), RunLog()
    runner.train(trial, None, title="first round")
    first = record.epochs
    assert 0 < first < 1
    runner.train(trial, None, title="second round", log=log)
    assert first < record.epochs
    assert log.rows[-1]["epoch"] == record.epochs  # of both rounds, in the log as in the table


def test_a_network_with_training_only_outputs_can_be_timed():
    runner = TrialRunner(TASK, open_images("digits"), Recipe(epochs=1), StopRequest(), Silent())
    options = {"in_channels": 1, "num_classes": 10, "width": 0.125, "auxiliary": True}
    candidate = Candidate("googlenet", options, {"size": 224})
    counted = count_candidate(candidate, Budget())
    assert counted.fits
    with torch.no_grad():
        assert isinstance(candidate.build().train()(torch.rand(2, 1, 224, 224)), tuple)
    assert runner.speeds.epoch_seconds(counted) > 0


def test_no_network_is_faster_than_a_matrix_product():
    runner = TrialRunner(TASK, open_images("digits"), Recipe(epochs=1), StopRequest(), Silent())
    candidate = Candidate("resnet18", {"in_channels": 1, "num_classes": 10}, {"size": 64})
    counted = count_candidate(candidate, Budget())
    # In the time that a pass of it takes, a matrix product does more than its multiply-adds.
    assert runner.speeds.most_macs(runner.speeds.epoch_seconds(counted)) > counted.cost.macs


def test_the_rounds_of_a_trial_with_a_forecast_are_one_run_whose_rate_falls_in_the_last():
    runner = TrialRunner(TASK, open_images("digits"), Recipe(epochs=0.1), StopRequest(), Silent())
    candidate = Candidate(
        "linear_classifier", {"in_channels": 1, "num_classes": 10, "size": 21}, {"size": 21}
    )
    record = Trial(model=candidate.name, options={}, example={"size": 21}, input="21 px")
    expected = known_curves("classify", [candidate]).expect(candidate.name, 1e4)
    trial = LiveTrial(count_candidate(candidate, Budget()), record, expected=expected)
    runner.train(trial, None, title="first")
    assert trial.recipe.rate(1.0) == trial.recipe.rate(0.5) == 1.0
    assert trial.recipe.warmup == Recipe().warmup
    runner.train(trial, None, title="last", log=RunLog())
    assert trial.recipe.rate(1.0) == pytest.approx(Recipe().final_lr_fraction)
    assert trial.recipe.warmup < Recipe().warmup


def test_a_round_that_ends_worse_is_undone():
    runner = TrialRunner(TASK, open_images("digits"), Recipe(epochs=0.1), StopRequest(), Silent())
    candidate = Candidate(
        "linear_classifier", {"in_channels": 1, "num_classes": 10, "size": 21}, {"size": 21}
    )
    record = Trial(model=candidate.name, options={}, example={"size": 21}, input="21 px")
    trial = LiveTrial(count_candidate(candidate, Budget()), record)
    runner.train(trial, None, title="good")
    before = [p.detach().clone() for p in trial.model.parameters()]
    record.figures = {"accuracy": 2.0}
    best = 2.0  # better than anything a round can reach
    runner.train(trial, None, title="worse")
    assert record.figures["accuracy"] == best
    for a, b in zip(before, trial.model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_round_that_ends_in_an_error_is_undone(monkeypatch):
    def breaks(model, *args, **options):
        torch.nn.init.zeros_(next(model.parameters()))
        raise MemoryError

    runner = TrialRunner(TASK, open_images("digits"), Recipe(epochs=0.1), StopRequest(), Silent())
    options = {"in_channels": 1, "num_classes": 10, "size": 21}
    candidate = Candidate("linear_classifier", options, {"size": 21})
    record = Trial(model=candidate.name, options={}, example={"size": 21}, input="21 px")
    trial = LiveTrial(count_candidate(candidate, Budget()), record)
    runner.train(trial, None, title="good")
    before = [p.detach().clone() for p in trial.model.parameters()]
    monkeypatch.setattr("convatlas.pipeline.trials.train", breaks)
    with pytest.raises(OutOfMemory):
        runner.train(trial, None, title="broken")
    for a, b in zip(before, trial.model.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("could not create a primitive"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    ],
)
def test_memory_that_runs_out_is_called_so(error):
    expected = pytest.raises(OutOfMemory, match="not enough memory to train big_net")
    with expected, _named_memory("big_net"):
        raise error


def test_a_network_that_not_one_example_fits_with_is_called_so(monkeypatch):
    sizes = []

    def too_large(self, model, batch):
        sizes.append(len(batch[0]))
        raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr("convatlas.train.tasks.classify.Classify.loss", too_large)
    recipe = Recipe(epochs=0.1, batch_size=8)
    runner = TrialRunner(TASK, open_images("digits"), recipe, StopRequest(), Silent())
    options = {"in_channels": 1, "num_classes": 10, "size": 21}
    candidate = Candidate("linear_classifier", options, {"size": 21})
    record = Trial(model=candidate.name, options={}, example={"size": 21}, input="21 px")
    trial = LiveTrial(count_candidate(candidate, Budget()), record)
    with pytest.raises(OutOfMemory, match="not enough memory to train linear_classifier"):
        runner.train(trial, None, title="too large")
    assert sizes == [8, 4, 2, 1]


def test_other_errors_keep_their_words():
    with pytest.raises(RuntimeError, match="shape"), _named_memory("big_net"):
        raise RuntimeError("shape mismatch")
