"""A step that memory is not enough for is taken in smaller batches, to the same weights."""

import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from convatlas.progress import Silent
from convatlas.train.checkpoints import Checkpoints
from convatlas.train.log import RunLog
from convatlas.train.loop import train
from convatlas.train.recipe import Recipe
from convatlas.train.tasks.classify import Classify

RECIPE = Recipe(epochs=2, batch_size=8, lr=0.05, optimizer="sgd", precision="no")
ERRORS = [
    MemoryError(),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
    torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
]


class Heard(Silent):
    def __init__(self):
        self.said = []

    def say(self, text):
        self.said.append(text)


class FailsBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, error):
        ctx.error = error
        return x.clone()

    @staticmethod
    def backward(ctx, *grads):
        raise ctx.error


class Memory(nn.Module):
    """Is enough for some examples at once, while gradients are kept."""

    def __init__(self, enough, error=None, backward=False):
        super().__init__()
        self.enough, self.error, self.backward = enough, error or MemoryError(), backward
        self.sizes, self.failed = [], 0

    def forward(self, x):
        if not (self.training and torch.is_grad_enabled()):
            return x
        if len(x) <= self.enough:
            self.sizes.append(len(x))
            return x
        self.failed += 1
        if self.backward:
            return FailsBackward.apply(x, self.error)
        raise self.error


def network(memory, *, norm=False):
    torch.manual_seed(0)
    between = [nn.BatchNorm2d(4)] if norm else []
    body = nn.Sequential(nn.Conv2d(1, 4, 3), *between, nn.ReLU(), nn.Flatten())
    return nn.Sequential(body, memory, nn.Linear(64, 3))


def task(count=38):
    random = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (count, 1, 6, 6), generator=random).to(torch.uint8)
    data = TensorDataset(images, torch.arange(count) % 3)
    return Classify(
        data, data, num_classes=3, augment=lambda x: x, normalise=lambda x: x.float() / 255 - 0.5
    )


def trained(memory, recipe=RECIPE, **options):
    model, heard, log = network(memory), Heard(), RunLog()
    result = train(model, task(), recipe, progress=heard, log=log, **options)
    return model, result, heard.said, log.rows


@pytest.mark.parametrize("recipe", [RECIPE, RECIPE.with_options(on_nan="skip", ema_decay=0.0)])
@pytest.mark.parametrize("backward", [False, True])
def test_the_weights_are_those_of_a_run_with_enough_memory(recipe, backward):
    enough, short = Memory(99), Memory(5, backward=backward)
    expected, reached, silence, rows = trained(enough, recipe)
    model, result, said, short_rows = trained(short, recipe)
    for a, b in zip(model.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)
    assert (result.steps, result.epochs, result.ended) == (reached.steps, 2.0, "epochs")
    losses = [[row["train_loss"] for row in each] for each in (short_rows, rows)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert short.failed == 1  # the size stays
    assert short.sizes == 2 * (4 * [4, 4] + [3, 3])  # no lone example where it can be helped
    assert enough.sizes == 2 * (4 * [8] + [6])
    assert silence == []
    assert said == [
        "not enough memory for a step of 8 examples: from now on at most 4 at once, their "
        "gradients added up"
    ]


@pytest.mark.parametrize("error", ERRORS, ids=lambda each: type(each).__name__)
def test_batches_are_halved_until_they_fit(error):
    memory = Memory(1, error)
    _, result, said, _ = trained(memory)
    assert (result.ended, memory.failed) == ("epochs", 3)
    assert set(memory.sizes) == {1}
    assert len(said) == 1
    assert "at most 1 at once" in said[0]


def test_the_error_stands_where_one_example_is_too_large():
    memory = Memory(0, ERRORS[2])
    with pytest.raises(torch.cuda.OutOfMemoryError):
        trained(memory)
    assert memory.failed == 4


def test_another_error_is_not_taken_for_one_of_memory():
    memory = Memory(4, RuntimeError("the shapes do not fit"))
    with pytest.raises(RuntimeError, match="shapes"):
        trained(memory)
    assert memory.failed == 1


def test_batch_norm_gets_two_examples_and_is_named():
    memory, heard = Memory(2), Heard()
    train(network(memory, norm=True), task(), RECIPE, progress=heard)
    assert set(memory.sizes) == {2}
    assert heard.said[0].endswith("at most 2 at once, their gradients added up; batch norm sees "
                                  "only these")  # fmt: skip
    with pytest.raises(MemoryError):
        train(network(Memory(1), norm=True), task(), RECIPE)


def test_a_batch_that_cannot_be_split_says_so():
    class WithScale(Classify):
        def loss(self, model, batch):
            return 0.5 * super().loss(model, batch[:2])

        def loaders(self, batch_size, seed):
            train, validation = super().loaders(batch_size, seed)
            whole = train.collate_fn
            train.collate_fn = lambda rows: (*whole(rows), 0.5)
            return train, validation

    asked, heard = task(), Heard()
    asked.__class__ = WithScale
    with pytest.raises(MemoryError):
        train(network(Memory(4)), asked, RECIPE, progress=heard)
    assert heard.said == [
        "a batch cannot be split into smaller ones: 0.5 has no place for each of its 8 examples"
    ]


class Killed(BaseException):
    """Ends a run as a killed process ends."""


def test_a_run_that_goes_on_keeps_the_size(tmp_path):
    class Ending(Memory):
        def forward(self, x):
            if len(self.sizes) == 13:
                raise Killed
            return super().forward(x)

    expected, *_ = trained(Memory(5))
    with pytest.raises(Killed):
        trained(Ending(5), checkpoints=Checkpoints(tmp_path, every_s=0.0, max_cost=1e9))
    memory = Memory(5)
    model, _, said, _ = trained(memory, checkpoints=Checkpoints(tmp_path))
    assert memory.failed == 0
    assert len(said) == 1
    assert "going on after step 6" in said[0]
    for a, b in zip(model.parameters(), expected.parameters(), strict=True):
        assert torch.equal(a, b)
