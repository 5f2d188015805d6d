"""The tasks of signals in the loop: losses are of the right sign, figures are means over all."""

import pytest
import torch
from torch import nn

from convatlas.train.signal_losses import improvement, separation, si_snr
from convatlas.train.tasks.extract import Extract
from convatlas.train.tasks.separate import Separate


class Cheat(nn.Module):
    """Answers with what it holds, whatever it is asked."""

    def __init__(self, answer):
        super().__init__()
        self.answer = nn.Parameter(answer)

    def forward(self, x, *_):
        return self.answer[: len(x)]


def data(n=3, rows=2):
    torch.manual_seed(0)
    voices = torch.randn(n, rows, 60)
    return voices.sum(1), voices


def test_separation_is_trained_on_the_best_order_and_judged_by_the_improvement():
    mixture, voices = data()
    estimates = voices.flip(1) + 0.1 * torch.randn_like(voices)
    task = Separate(
        list(zip(mixture, voices, strict=True)), list(zip(mixture, voices, strict=True))
    )
    model = Cheat(estimates)
    loss = task.loss(model, (mixture, voices))
    torch.testing.assert_close(loss, -separation(estimates, voices).value.mean())
    assert loss < -15  # dB
    loss.backward()
    assert model.answer.grad.abs().sum() > 0
    same = Cheat(mixture.unsqueeze(1).expand(-1, 2, -1).clone())
    _, loader = task.loaders(batch_size=3, seed=0)
    figures = task.validate(model, loader, lambda x: x)
    gains = improvement(estimates, voices, mixture)
    assert figures["val_si_snri_db"] == pytest.approx(gains.mean().item(), rel=1e-5)
    assert figures["val_loss"] == pytest.approx(loss.item(), rel=1e-5)
    assert task.validate(same, loader, lambda x: x)["val_si_snri_db"] == pytest.approx(0, abs=1e-4)


def test_extraction_has_no_order_to_find():
    mixture, voices = data()
    rows = list(zip(mixture, torch.zeros(3, 4), voices[:, 0], strict=True))
    task = Extract(rows, rows)
    _, loader = task.loaders(batch_size=2, seed=0)
    estimate = voices[:2, 0] + 0.1 * torch.randn(2, 60)
    loss = task.loss(Cheat(estimate), (mixture[:2], torch.zeros(2, 4), voices[:2, 0]))
    assert loss.item() == pytest.approx(
        -si_snr(estimate, voices[:2, 0], zero_mean=False).mean().item(), rel=1e-5
    )
    right, wrong = Cheat(voices[:1, 0].clone()), Cheat(voices[:1, 1].clone())
    single = Extract(rows[:1], rows[:1])
    _, loader = single.loaders(batch_size=1, seed=0)
    assert single.validate(right, loader, lambda x: x)["val_si_sdri_db"] > 40
    assert single.validate(wrong, loader, lambda x: x)["val_si_sdri_db"] < 0
