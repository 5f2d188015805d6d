import torch
from torch import nn

from convatlas.train.update_bn import BATCHES, update_bn


def test_statistics_are_the_average_over_batches_by_hand():
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Dropout(0.5))
    batches = [torch.randn(4, 1, 6, 6) + i for i in range(5)]
    update_bn(model, batches, model)
    maps = [model[0](batch).detach() for batch in batches]
    mean = torch.stack([m.mean((0, 2, 3)) for m in maps]).mean(0)
    variance = torch.stack([m.var((0, 2, 3)) for m in maps]).mean(0)
    torch.testing.assert_close(model[1].running_mean, mean)
    torch.testing.assert_close(model[1].running_var, variance)


def test_weights_momentum_and_evaluation_mode_are_kept():
    model = nn.Sequential(nn.BatchNorm2d(2, momentum=0.3), nn.Dropout(0.5)).train()
    before = model[0].weight.detach().clone()
    update_bn(model, [torch.randn(4, 2, 3, 3)], model)
    assert model[0].momentum == 0.3
    assert not any(module.training for module in model.modules())
    assert torch.equal(model[0].weight, before)


def test_only_some_batches_are_used():
    seen = []
    model = nn.BatchNorm1d(2)
    endless = iter(lambda: torch.randn(4, 2), None)
    update_bn(model, endless, lambda batch: seen.append(model(batch)))
    assert len(seen) == BATCHES


def test_without_batch_norm_nothing_runs():
    update_bn(nn.Linear(2, 2), [torch.zeros(1, 2)], lambda batch: 1 / 0)


def test_little_time_takes_fewer_batches():
    seen = []
    model = torch.nn.Sequential(torch.nn.BatchNorm1d(2))
    batches = [torch.randn(4, 2) for _ in range(9)]
    update_bn(model, batches, lambda x: seen.append(model(x)), most_s=0.0)
    assert len(seen) == 2
    update_bn(model, batches, lambda x: seen.append(model(x)))
    assert len(seen) == 2 + 9
