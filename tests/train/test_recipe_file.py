"""Recipes as files: what they say, what they leave unsaid, and what is refused."""

import pytest

from convatlas.errors import DataError, UnknownNameError, UsageError
from convatlas.models.registry import find_entry
from convatlas.pipeline.training_plan import find_recipe, task_of, with_options
from convatlas.train.recipe_file import packaged_recipe, parse_recipe, recipe_names


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_of_the_package_can_be_used(name):
    recipe = find_recipe(name)
    assert recipe.source
    assert set(recipe.options) <= set(find_entry(recipe.network).defaults)
    task_of(recipe.network).check_options(recipe.data)
    assert recipe.training.rate(0.5) > 0


def parsed(text):
    return parse_recipe(text, "mine", "mine.yaml")


def test_what_a_file_does_not_say_is_not_done():
    training = parsed("network: lenet5\n").training
    assert (training.weight_decay, training.warmup, training.ema_decay) == (0, 0, 0)
    assert (training.momentum, training.clip_norm, training.schedule) == (0, 0, "constant")
    data = parsed("network: lenet5\n").data
    assert data == {"augmentation": "none", "label_smoothing": 0.0}


def test_numbers_are_read_as_numbers_and_epochs_as_shares_of_the_run():
    recipe = parsed(
        "network: resnet20_cifar\n"
        "training: {lr: 1e-3, epochs: 40, schedule: step, milestones: [10, 0.5], warmup: 2}\n"
    )
    assert recipe.training.lr == 1e-3
    assert recipe.training.milestones == (0.25, 0.5)
    assert recipe.training.warmup == 0.05
    longer = with_options(recipe, {"epochs": 80, "milestones": (20.0, 40.0)})
    assert longer.training.milestones == (0.25, 0.5)


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("network: lenet5\ntrainig: {}\n", UsageError, "no option 'trainig'; nearest: training"),
        ("network: lenet5\ntraining: {lrr: 1}\n", UsageError, "no option 'lrr'"),
        ("network: lenet5\noptions: {widht: 2}\n", UsageError, "no option 'widht'"),
        ("network: lenet55\n", UnknownNameError, "lenet55"),
        ("network: lenet5\ntraining: {lr: fast}\n", UsageError, "lr cannot be 'fast'"),
        ("network: lenet5\ntraining: {lr: -1}\n", UsageError, "lr cannot be -1"),
        ("network: lenet5\nsize: big\n", UsageError, "size must be a number of pixels"),
        ("- 1\n", DataError, "must be names with values"),
        ("network: [\n", DataError, "not YAML"),
        ("network: !!python/object/apply:os.getcwd []\n", DataError, "not YAML"),
    ],
)
def test_what_cannot_be_is_refused_by_name(text, error, says):
    with pytest.raises(error, match=says.replace("[", r"\[")):
        parsed(text)


def test_a_word_is_a_recipe_a_network_or_a_file(tmp_path):
    assert find_recipe("resnet_cifar").source.startswith("He et al.")
    plain = find_recipe("mobilenet_v2")  # a recipe of that name goes before the network
    assert plain.network == "mobilenet_v2"
    assert find_recipe("resnet20_cifar").training == task_of("resnet20_cifar").recipe
    path = tmp_path / "mine.yaml"
    path.write_text("network: lenet5\ntraining: {lr: 0.5}\n", encoding="utf-8")
    assert find_recipe(path).training.lr == 0.5
    with pytest.raises(DataError, match="cannot be read"):
        find_recipe(tmp_path / "none.yaml")
    with pytest.raises(UnknownNameError, match="nearest: resnet_cifar"):
        find_recipe("resnet_cifra")


def test_options_go_to_training_network_or_task_and_unknown_ones_have_a_nearest():
    recipe = with_options(
        find_recipe("resnet_cifar"), {"lr": 0.2, "width": 0.5, "label_smoothing": 0.1, "size": 28}
    )
    assert recipe.training.lr == 0.2
    assert recipe.options["width"] == 0.5
    assert recipe.data["label_smoothing"] == 0.1
    assert recipe.size == 28
    with pytest.raises(UsageError, match="no option 'momentun'; nearest: momentum"):
        with_options(recipe, {"momentun": 0.5})


@pytest.mark.parametrize(
    ("name", "rates"),  # at shares of the run that the papers' steps and epochs give
    [
        ("resnet_cifar", {0: 0.1, 33 / 64: 0.01, 49 / 64: 0.001}),
        ("wide_resnet", {59 / 200: 0.1, 60 / 200: 0.02, 161 / 200: 0.0008}),
        ("fractalnet", {199 / 400: 0.02, 301 / 400: 2e-4, 380 / 400: 2e-6}),
        ("inception_v3", {1 / 100: 0.045, 50 / 100: 0.045 * 0.94**25}),
        ("squeezenet", {0: 0.04, 0.25: 0.03}),
        ("squeezenext", {0: 0.1, 780 / 150136 + 1e-4: 0.4}),
        ("efficientnet", {0: 0.0, 5 / 350: 0.256 * 0.97**2}),
    ],
)
def test_rates_of_papers_fall_where_they_say(name, rates):
    training = packaged_recipe(name).training
    found = {place: training.lr * training.rate(place) for place in rates}
    assert found == pytest.approx(rates, rel=2e-3)
