import math
from itertools import permutations

import pytest
import torch

from convatlas.train.signal_losses import best_order, improvement, separation, si_snr


def signals(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_it_is_the_angle_between_the_signals():
    """A second way: with means taken out, it is 20 log10 of the cotangent of their angle."""
    estimate, target = signals(5, 100), signals(5, 100, seed=1)
    a, b = (x - x.mean(-1, keepdim=True) for x in (estimate, target))
    cosine = (a * b).sum(-1) / (a.norm(dim=-1) * b.norm(dim=-1))
    expected = 20 * (cosine.abs() / (1 - cosine**2).sqrt()).log10()
    torch.testing.assert_close(si_snr(estimate, target), expected, rtol=1e-4, atol=1e-4)


def test_loudness_sign_and_mean_do_not_count_and_a_known_noise_gives_its_level():
    target = torch.tensor([1.0, 1.0, -1.0, -1.0], dtype=torch.float64)
    noise = torch.tensor([1.0, -1.0, 1.0, -1.0], dtype=torch.float64)
    value = si_snr(target + 0.1 * noise, target)
    assert value.item() == pytest.approx(20, abs=1e-5)  # eps alone keeps it from 20
    assert si_snr(-7 * (target + 0.1 * noise) + 3, target).item() == pytest.approx(20, abs=1e-5)
    with_mean = si_snr(target + 0.1 * noise + 1, target + 1, zero_mean=False).item()
    assert with_mean == pytest.approx(10 * math.log10(8 / 0.04), abs=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_values_equal_torchmetrics():
    audio = pytest.importorskip("torchmetrics.functional.audio")
    estimate, target = signals(4, 3, 200), signals(4, 3, 200, seed=1)
    eps = torch.finfo(torch.float64).eps  # as theirs
    theirs = audio.scale_invariant_signal_noise_ratio(estimate, target)
    torch.testing.assert_close(si_snr(estimate, target, eps=eps), theirs)
    theirs = audio.scale_invariant_signal_distortion_ratio(estimate, target, zero_mean=False)
    torch.testing.assert_close(si_snr(estimate, target, zero_mean=False, eps=eps), theirs)
    value, order = audio.permutation_invariant_training(
        estimate, target, audio.scale_invariant_signal_noise_ratio
    )
    best = separation(estimate, target)
    torch.testing.assert_close(best.value, value, rtol=1e-4, atol=1e-4)
    assert torch.equal(best.order, order)


@pytest.mark.parametrize("voices", [1, 2, 3, 4])
def test_the_best_order_is_found_and_puts_the_voices_back(voices):
    values = signals(6, voices, voices)
    best = best_order(values)
    for n in range(6):
        means = {
            order: sum(values[n, e, v] for v, e in enumerate(order)) / voices
            for order in permutations(range(voices))
        }
        assert max(means, key=means.get) == tuple(best.order[n].tolist())
        assert best.value[n] == pytest.approx(max(means.values()).item())
    clean = signals(2, voices, 50)
    mixed_up = clean.flip(1)
    order = separation(mixed_up, clean).order
    assert torch.equal(mixed_up[torch.arange(2)[:, None], order], clean)


def test_the_mixture_itself_is_no_improvement_and_silence_gives_no_nan():
    voices = signals(3, 2, 80)
    mixture = voices.sum(1)
    same = mixture.unsqueeze(1).expand(-1, 2, -1)
    torch.testing.assert_close(improvement(same, voices, mixture), torch.zeros(3).double())
    assert (improvement(voices, voices, mixture) > 40).all()
    silent = torch.zeros(1, 2, 80, requires_grad=True)
    value = separation(silent, voices[:1].float()).value
    value.sum().backward()
    assert value.isfinite().all()
    assert silent.grad.isfinite().all()


def test_what_does_not_belong_together_is_refused():
    with pytest.raises(ValueError, match="must have the same length, got 5 and 6 samples"):
        si_snr(torch.zeros(5), torch.zeros(6))
    with pytest.raises(ValueError, match=r"must be \(n, s, s\) with s up to 6, got \(1, 2, 3\)"):
        best_order(torch.zeros(1, 2, 3))


def test_the_last_voices_may_have_a_place_of_their_own():
    clean = signals(2, 3, 50)
    swapped = clean[:, [1, 0, 2]]
    assert (separation(swapped, clean, fixed=1).value > 40).all()
    turned = clean[:, [2, 0, 1]]  # the last one is in another place
    fixed = separation(turned, clean, fixed=1)
    assert (fixed.order[:, 2] == 2).all()
    assert (fixed.value < separation(turned, clean).value - 20).all()
    torch.testing.assert_close(
        separation(turned, clean, fixed=3).value, si_snr(turned, clean).mean(1)
    )


@pytest.mark.filterwarnings("ignore")  # mir_eval says that this part of it will move
def test_values_and_order_are_those_of_mir_eval():
    """Its SDR lets a filter of 512 samples count as the voice; with one sample it is SI-SDR."""
    peer = pytest.importorskip("mir_eval.separation")
    clean = signals(3, 1500, seed=2)
    estimates = clean[[2, 0, 1]] + 0.3 * signals(3, 1500, seed=3)
    ours = si_snr(estimates[:, None], clean[None], zero_mean=False)
    true = clean.numpy()
    for e, v in ((0, 2), (1, 0), (2, 2)):
        parts = peer._bss_decomp_mtifilt(true, estimates[e].numpy(), v, 1)
        assert peer._bss_source_crit(*parts)[0] == pytest.approx(ours[e, v].item(), abs=1e-5)
    sdr, _, _, order = peer.bss_eval_sources(true, estimates.numpy())
    best = separation(estimates[None], clean[None])
    assert best.order[0].tolist() == order.tolist() == [1, 2, 0]
    matched = [ours[e, v].item() for v, e in enumerate(order)]
    assert all(0 <= theirs - one < 6 for theirs, one in zip(sdr, matched, strict=True))
