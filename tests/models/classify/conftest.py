"""What the tests of every family share: counting a name, and comparing with a peer library."""

from collections.abc import Callable, Iterable

import pytest
import torch
from torch import Tensor, nn

from convatlas.atlas.index import read_index
from convatlas.cost import count
from convatlas.models import create_model
from convatlas.models.on_shapes import on_shapes


@pytest.fixture
def counted() -> Callable[..., tuple[int, int]]:
    """(params, macs) of a registered name at the size of its `example`."""

    def run(name: str, **options: object) -> tuple[int, int]:
        if not options:  # counted anew, with nothing left uncounted, in tests/test_every_name.py
            entry = read_index()[name]
            return entry.params, entry.macs
        with on_shapes():
            model = create_model(name, **options)
            cost = count(model, model.example())
        assert not cost.uncounted
        return cost.params, cost.macs

    return run


@pytest.fixture
def assert_same_answers() -> Callable[..., None]:
    """Give ours the peer's random weights under translated names, and compare the logits.

    The translation is a list of (path in the peer, path in ours) of modules, or of single tensors.
    Every tensor of the peer must be named by it, and every tensor of ours filled. Where one has a
    1 x 1 convolution of pooled features and the other a linear layer, the same numbers are given
    the other shape.
    """

    def run(
        ours: nn.Module, peer: nn.Module, paths: Iterable[tuple[str, str]], size: int = 64
    ) -> None:
        torch.manual_seed(0)
        _randomise(peer)
        state = _translate(peer.state_dict(), dict(paths), ours.state_dict())
        ours.load_state_dict(state, strict=True)
        # Coarse squares: fine noise would be averaged away, and all images answered alike.
        x = nn.functional.interpolate(torch.randn(3, 3, 5, 5), (size, size))
        with torch.no_grad():
            expected, got = peer.eval()(x), ours.eval()(x)
        assert expected.std(0).max() > 1e-2 * expected.abs().max(), "the answers do not vary"
        assert (got - expected).abs().max() <= 1e-5 * expected.abs().max()

    return run


def _translate(
    state: dict[str, Tensor], paths: dict[str, str], ours: dict[str, Tensor]
) -> dict[str, Tensor]:
    translated = {}
    for key, value in state.items():
        module, _, tensor = key.rpartition(".")
        assert key in paths or module in paths, f"the translation does not name {key}"
        path = paths[key] if key in paths else f"{paths[module]}.{tensor}"
        shape = ours.get(path, value).shape
        sides = tuple(side for side in value.shape if side > 1)
        alike = sides == tuple(side for side in shape if side > 1)
        translated[path] = value.reshape(shape) if alike else value
    assert len(translated) == len(state), "two tensors of the peer went to one of ours"
    return translated


def _randomise(model: nn.Module) -> None:
    """Weights that keep the signal's size, and norms whose statistics are not those of a start."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight)
            if module.bias is not None:
                nn.init.normal_(module.bias, std=0.1)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.2)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
        elif isinstance(module, nn.LayerNorm):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
        for name in ("gamma", "layer_scale"):  # as timm and torchvision call the same numbers
            if isinstance(scale := getattr(module, name, None), nn.Parameter):
                nn.init.uniform_(scale, 0.2, 0.6)


@pytest.fixture
def flat_paths() -> Callable[[nn.Module], list[str]]:
    """Paths of the layers of `stages`, one after the other as a peer numbers them."""

    def run(model: nn.Module) -> list[str]:
        return [
            f"stages.{s}.{i}" for s, stage in enumerate(model.stages) for i in range(len(stage))
        ]

    return run


@pytest.fixture
def relu6_to_relu() -> Callable[[nn.Module], None]:
    """Replace every ReLU6 of a peer by the ReLU that the paper states."""

    def run(model: nn.Module) -> None:
        for module in list(model.modules()):
            for name, child in module.named_children():
                if isinstance(child, nn.ReLU6):
                    setattr(module, name, nn.ReLU())

    return run
