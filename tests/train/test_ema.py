import torch
from torch import nn

from convatlas.train.ema import weight_average


def test_equals_the_recurrence_written_out():
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    average = weight_average(model, decay=0.9)
    expected = None
    for count in range(40):
        with torch.no_grad():
            model[0].weight.add_(torch.randn_like(model[0].weight))
            model[1].running_mean.add_(1.0)
            model[1].num_batches_tracked.add_(1)
        average.update_parameters(model)
        now = min(0.9, (1 + count) / (10 + count))
        current = model[0].weight.detach().clone()
        # torch copies the first one and averages from the second on.
        expected = current if expected is None else now * expected + (1 - now) * current
    torch.testing.assert_close(average.module[0].weight.detach(), expected)
    assert average.module[1].num_batches_tracked == model[1].num_batches_tracked
    assert 0 < average.module[1].running_mean[0] < model[1].running_mean[0]
