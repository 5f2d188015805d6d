"""What every translator owes: no look ahead, no influence of padding, steps equal to the whole."""

import inspect

import pytest
import torch
import torch.nn.functional as F

from convatlas import cost
from convatlas.errors import UsageError
from convatlas.models import create_model, find_entry, model_names
from convatlas.models.on_shapes import on_shapes
from convatlas.models.translate.slicenet import SliceNet
from convatlas.text.symbols import FIRST_SYMBOL, PADDING

ENTRIES = [e for e in map(find_entry, model_names()) if e.task == "translate" and e.ours]
CLASSES = list(dict.fromkeys(entry.cls for entry in ENTRIES))
FORMS = [(cls, {}) for cls in CLASSES] + [
    (SliceNet, {"form": "repository", "timing": "repository", "separability": "full"}),
    (SliceNet, {"separability": "sub", "groups": (4,), "shared": "none", "scalar_norms": True}),
    (SliceNet, {"separability": "none", "kernels": (3, 4, 3), "dilations": (1, 2, 4)}),
    (SliceNet, {"attention": False}),
]
every_form = pytest.mark.parametrize(
    ("cls", "options"), FORMS, ids=lambda x: x.__name__ if isinstance(x, type) else ",".join(x)
)
BATCH, SOURCE, TARGET = 3, 8, 15  # longer than any network unfolds by itself


def build(cls, options):
    """The tiny network with other options over its own."""
    torch.manual_seed(0)
    if options:
        small = {"depth": 12, "encoder_modules": 1, "decoder_modules": 1, "kernels": (3, 5, 3)}
        small |= {"source_symbols": 11, "target_symbols": 13}
        model = cls(**{**small, **options})
    else:
        model, _ = cls.tiny()
    return model.eval().requires_grad_(False)


def pair(model):
    source = torch.randint(FIRST_SYMBOL, model.source_symbols, (BATCH, SOURCE))
    return source, torch.randint(FIRST_SYMBOL, model.target_symbols, (BATCH, TARGET))


def in_steps(model, source, target):
    """Write the target one symbol after the other."""
    memory = model.encode(source)
    state = model.start(memory)
    shapes = [x.shape for x in state]
    symbol, logits = torch.full((len(source),), PADDING), []
    for place in range(target.shape[1]):
        scores, state = model.step(symbol, memory, state)
        logits.append(scores)
        symbol = target[:, place]
    assert [x.shape for x in state] == shapes
    return torch.stack(logits, dim=1)


@every_form
def test_steps_equal_the_whole(cls, options):
    model = build(cls, options)
    source, target = pair(model)
    whole = model(source, target)
    assert whole.shape == (BATCH, TARGET, model.target_symbols)
    torch.testing.assert_close(in_steps(model, source, target), whole, rtol=1e-5, atol=1e-5)


@every_form
def test_an_answer_sees_the_symbols_before_it_and_no_others(cls, options):
    model = build(cls, options)
    source, target = pair(model)
    before = model(source, target)
    for place in range(TARGET - 1):
        other = target.clone()
        other[:, place] = FIRST_SYMBOL + (other[:, place] - FIRST_SYMBOL + 1) % 10
        moved = (model(source, other) - before).abs().amax((0, 2))
        assert moved[: place + 1].max() == 0
        assert moved[place + 1] > 1e-6


@every_form
def test_padding_of_the_source_has_no_influence(cls, options):
    model = build(cls, options)
    source, target = pair(model)
    source[0, 5:] = PADDING
    together = model(F.pad(source, (0, 6)), target)
    alone = model(source[:1, :5], target[:1])
    torch.testing.assert_close(together[:1], alone, rtol=1e-5, atol=1e-5)
    longest = model(source[1:], target[1:])
    torch.testing.assert_close(together[1:], longest, rtol=1e-5, atol=1e-5)


@every_form
def test_hypotheses_of_a_beam_are_picked_along_the_batch(cls, options):
    model = build(cls, options)
    source, target = pair(model)
    order = torch.tensor([2, 2, 0])
    memory, symbol = model.encode(source), torch.full((BATCH,), PADDING)
    _, state = model.step(symbol, memory, model.start(memory))
    chosen = [tuple(x.index_select(0, order) for x in each) for each in (memory, state)]
    again, _ = model.step(target[order, 0], *chosen)
    expected, _ = model.step(target[:, 0], memory, state)
    torch.testing.assert_close(again, expected[order])


@pytest.mark.parametrize("cls", CLASSES, ids=lambda c: c.__name__)
def test_a_step_costs_the_same_however_much_is_written(cls):
    model, (source, target) = cls.tiny()
    model.eval()
    memory = model.encode(source)
    state, macs = model.start(memory), []
    for place in range(3):
        macs.append(cost.macs(model.step, target[:, place], memory, state))
        _, state = model.step(target[:, place], memory, state)
    assert len(set(macs)) == 1


@pytest.mark.parametrize("cls", CLASSES, ids=lambda c: c.__name__)
def test_a_wider_network_is_not_smaller_and_a_source_of_padding_has_an_answer(cls):
    assert "width" in inspect.signature(cls).parameters
    with on_shapes():
        sizes = [sum(p.numel() for p in cls(width=w).parameters()) for w in (0.1, 0.5, 1.0)]
    assert sizes == sorted(set(sizes))
    model, (source, target) = cls.tiny()
    assert model.eval()(torch.full_like(source, PADDING), target).isfinite().all()


@pytest.mark.parametrize("cls", CLASSES, ids=lambda c: c.__name__)
def test_what_are_no_symbols_is_refused(cls):
    model, (source, target) = cls.tiny()
    for what, inputs in (
        ("source", (source[0], target)),
        ("target", (source, target.float())),
    ):
        with pytest.raises(ValueError, match=f"{cls.__name__}: {what} must be symbols"):
            model(*inputs)
    with pytest.raises(UsageError, match=f"{cls.__name__}: source_symbols must be 4 or more"):
        cls(source_symbols=3)


@pytest.mark.parametrize("name", [entry.name for entry in ENTRIES])
def test_every_name_builds_with_the_vocabularies_of_some_data(name):
    with on_shapes():
        model = create_model(name, source_symbols=50, target_symbols=60, width=0.1)
        source, target = model.example(tokens=9)
        assert model(source, target).shape == (1, 9, 60)
    assert model.target_length(10) >= 12
