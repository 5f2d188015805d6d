"""Steps against the algorithm written out plainly, how runs end, and what is noticed."""

import copy
import json

import pytest
import torch
from torch import nn

from convatlas.errors import DataError, UsageError, WriteError
from convatlas.train.adversarial import WEIGHTS, train_adversarial
from convatlas.train.adversarial_recipe import AdversarialRecipe
from convatlas.train.adversarial_steps import AdversarialSteps
from convatlas.train.adversarial_watch import PATIENCE, AdversarialWatch, diversity
from convatlas.train.weights import load_weights


class Maker(nn.Module):
    """Images of 2 x 2 from three numbers."""

    latent = 3

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 4), nn.Tanh()
        )

    def forward(self, z):
        return self.layers(z).unflatten(1, (1, 2, 2))


class Judge(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(4, 8), nn.LeakyReLU(0.2), nn.Linear(8, 1)
        )

    def forward(self, x):
        return self.layers(x).flatten()


def pair():
    torch.manual_seed(0)
    return Maker(), Judge()


def stripes(count=64):
    """Images whose left column is dark and whose right one is bright."""
    random = torch.Generator().manual_seed(0)
    dark = torch.randint(20, 60, (count, 1, 2, 1), generator=random)
    bright = torch.randint(180, 240, (count, 1, 2, 1), generator=random)
    return torch.cat([dark, bright], dim=3).to(torch.uint8)


def written_out(maker, judge, recipe, reals, noises):
    """Take the two steps of the algorithm by probabilities, with gradients cleared between."""
    adam = [
        torch.optim.Adam(net.parameters(), lr=recipe.lr, betas=(recipe.beta1, 0.999))
        for net in (maker, judge)
    ]
    for real, z in zip(reals, noises, strict=True):
        adam[1].zero_grad()
        fake = maker(z)
        chances = judge(real).sigmoid(), judge(fake.detach()).sigmoid()
        label = recipe.real_label
        right = label * chances[0].log() + (1 - label) * (1 - chances[0]).log()
        (-right.mean() - (1 - chances[1]).log().mean()).backward()
        adam[1].step()
        adam[0].zero_grad()
        (-judge(fake).sigmoid().log().mean()).backward()
        adam[0].step()


@pytest.mark.parametrize("real_label", [1.0, 0.9])
def test_steps_are_those_of_the_algorithm_written_out(real_label):
    recipe = AdversarialRecipe(batch_size=8, lr=0.01, real_label=real_label)
    nets = [net.double() for net in pair()]
    peers = copy.deepcopy(nets)
    steps = AdversarialSteps(*nets, stripes(), recipe)
    random = torch.Generator().manual_seed(1)
    reals = (2 * torch.rand(5, 8, 1, 2, 2, generator=random) - 1).double()
    noises = (2 * torch.rand(5, 8, 3, generator=random) - 1).double()
    given = iter(noises)
    steps.noise = lambda: next(given)
    for real in reals:
        steps.step(real)
    written_out(*peers, recipe, reals, noises)
    for net, peer in zip(nets, peers, strict=True):
        for name, value in peer.named_parameters():
            torch.testing.assert_close(net.get_parameter(name), value)


def test_drawn_images_come_to_look_like_the_real_ones():
    maker, judge = pair()
    before = maker.eval()(torch.zeros(1, 3)).detach()
    result = train_adversarial(
        maker, judge, stripes(), AdversarialRecipe(lr=0.01, batch_size=16, epochs=60)
    )
    assert result.ended == "epochs"
    assert (result.steps, result.epochs) == (240, 60)
    assert not maker.training
    left, right = maker(2 * torch.rand(64, 3) - 1).mean((0, 1, 2)).tolist()
    assert left < -0.3 < 0.3 < right
    assert (before[..., 0] - before[..., 1]).abs().max() < 1


def test_the_same_seed_trains_the_same_networks_and_looking_changes_nothing(monkeypatch):
    makers = []
    for between in (50, 3):
        monkeypatch.setattr("convatlas.train.adversarial.STEPS_BETWEEN_LOOKS", between)
        maker, judge = pair()
        train_adversarial(maker, judge, stripes(), AdversarialRecipe(batch_size=8, epochs=1))
        makers.append(maker)
    for name, value in makers[0].state_dict().items():
        assert torch.equal(value, makers[1].state_dict()[name]), name


def test_a_folder_gets_weights_and_figures(tmp_path):
    maker, judge = pair()
    folder = tmp_path / "new" / "gan"
    result = train_adversarial(
        maker, judge, stripes(), AdversarialRecipe(batch_size=8, epochs=7), folder=folder
    )
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text("utf-8").splitlines()]
    assert [row["step"] for row in rows] == [50, 56]
    assert {key: rows[-1][key] for key in result.figures} == result.figures
    other = Maker().eval()
    load_weights(other, folder / WEIGHTS)
    z = torch.rand(4, 3)
    assert torch.equal(other(z), maker(z))


def test_a_loss_that_is_no_number_ends_the_run_with_the_weights_of_the_last_look(monkeypatch):
    monkeypatch.setattr("convatlas.train.adversarial.STEPS_BETWEEN_LOOKS", 4)
    kept = []
    step, look = AdversarialSteps.step, AdversarialSteps.look

    def spoiled(self, real):
        step(self, real * (float("nan") if len(kept) == 2 else 1))

    def watched(self):
        figures = look(self)
        kept.append(copy.deepcopy(dict(self.generator.named_parameters())))
        return figures

    monkeypatch.setattr(AdversarialSteps, "step", spoiled)
    monkeypatch.setattr(AdversarialSteps, "look", watched)
    maker, judge = pair()
    result = train_adversarial(maker, judge, stripes(), AdversarialRecipe(batch_size=8, epochs=9))
    assert result.ended == "diverged"
    assert result.steps == 12
    for name, value in maker.named_parameters():
        assert torch.equal(value, kept[1][name])


class Asked:
    requested = True


@pytest.mark.parametrize(
    ("options", "ended"), [({"limit_s": 0.0}, "time"), ({"stop": Asked()}, "interrupted")]
)
def test_time_and_a_signal_end_a_run_after_the_step_in_hand(options, ended):
    result = train_adversarial(*pair(), stripes(), AdversarialRecipe(batch_size=8), **options)
    assert (result.ended, result.steps) == (ended, 1)
    assert set(result.figures) == {"discriminator_loss", "generator_loss", "accuracy", "diversity"}


def test_diversity_is_half_of_the_mean_squared_distance_of_two_images():
    x = torch.rand(6, 2, 3, 3)
    pairs = [(x[i] - x[j]).square().mean() for i in range(6) for j in range(i)]
    assert diversity(x) == pytest.approx(float(torch.stack(pairs).mean()) / 2, rel=1e-5)


@pytest.mark.parametrize(
    ("accuracy", "spread", "words"),
    [(1.0, 1.0, "tells 100.0% of real and drawn"), (0.8, 0.1, "differ by 10% of what real")],
)
def test_what_stays_wrong_is_said_once(accuracy, spread, words):
    watch = AdversarialWatch()
    said = [watch.look(step, accuracy, spread) for step in range(3 * PATIENCE)]
    assert [len(each) for each in said] == [0] * (PATIENCE - 1) + [1] + [0] * 2 * PATIENCE
    assert words in watch.warnings[0]


def test_what_passes_is_not_said():
    watch = AdversarialWatch()
    for step in range(6 * PATIENCE):
        watch.look(step, *((0.8, 1.0) if step % PATIENCE == 0 else (1.0, 0.1)))
    assert not watch.warnings


def test_images_of_one_kind_are_noticed(monkeypatch):
    """A generator that cannot vary: its numbers are multiplied by zero."""
    monkeypatch.setattr("convatlas.train.adversarial.STEPS_BETWEEN_LOOKS", 2)
    maker, judge = pair()
    nn.init.zeros_(maker.layers[3].weight)
    maker.layers[3].weight.requires_grad_(False)
    result = train_adversarial(maker, judge, stripes(), AdversarialRecipe(batch_size=8, epochs=2))
    assert result.figures["diversity"] < 0.01
    assert any("collapsed" in warning for warning in result.warnings)


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (torch.zeros(64, 1, 2, 2), "must be uint8"),
        (stripes(7), "8 images or more"),
        (stripes().repeat(1, 3, 1, 1), r"must be \(1, 2, 2\)"),
    ],
)
def test_images_of_another_form_are_refused(images, words):
    with pytest.raises(DataError, match=words):
        train_adversarial(*pair(), images, AdversarialRecipe(batch_size=8))


def test_a_folder_that_cannot_be_is_refused_before_training(tmp_path):
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(WriteError, match="file"):
        train_adversarial(*pair(), stripes(128), folder=tmp_path / "file" / "gan")


@pytest.mark.parametrize(
    "options",
    [{"lr": 0}, {"beta1": 1}, {"batch_size": 1}, {"epochs": 0}, {"real_label": 0.5}],
)
def test_options_that_no_run_can_have_are_named(options):
    (name,) = options
    with pytest.raises(UsageError, match=f"{name} must be"):
        AdversarialRecipe(**options)
