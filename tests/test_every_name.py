"""What every registered name owes, each built and run once, on shapes alone, for all of it.

Where each count is held to the index, everything else may read the index.
"""

import dataclasses
import functools
import json
import re

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from convatlas.atlas import counting as counting_module
from convatlas.atlas.counting import index_entry
from convatlas.atlas.index import INDEX
from convatlas.cost import Cost, count
from convatlas.cost.count import _Evaluated
from convatlas.models import create_model, find_entry, model_names
from convatlas.models.detect.detector import Detector
from convatlas.models.on_shapes import on_shapes
from convatlas.models.segment.lraspp import LRASPP
from convatlas.models.segment.segmenter import Segmenter

# Sides of the published input where a name does not say it and it is not 224 pixels.
SIZES = {
    **dict.fromkeys(("darknet53", "cspdarknet53", "cspdarknet53_mish"), 256),
    **{f"darknet_{form}": 256 for form in ("reference", "resnet10", "resnet50", "resnext50")},
    "cspdarknet53_elastic": 256,
    **{f"cspresn{f}50{k}": 256 for f in ("et", "ext") for k in ("", "_mish", "_elastic")},
    **{f"efficientnet_b{n}": s for n, s in enumerate((224, 240, 260, 300, 380, 456, 528, 600))},
    **{f"efficientnet_lite{n}": s for n, s in enumerate((224, 240, 260, 280, 300))},
    "fbnet_96_0.35_1": 96,
    **dict.fromkeys(("inception_v2", "inception_v2_7x7", "inception_v3"), 299),
    **dict.fromkeys(("xception", "xception_fc", "inception_v4", "inception_resnet_v1"), 299),
    **dict.fromkeys(("inception_resnet_v2", "inception_resnet_v2_paper"), 299),
    **dict.fromkeys(("se_inception_v3", "se_inception_resnet_v2"), 299),
    **{name: 227 for name in model_names() if name.startswith("squeezenext")},
    **{"capsnet": 28, "capsnet_baseline": 28, "capsnet_affnist": 40, "capsnet_cifar": 24},
    **{"capsnet_multimnist": 36, "capsnet_baseline_multimnist": 36},
    **{"capsnet_smallnorb": 32, "capsnet_svhn": 32},
}


# One name of each class: for what the names of a class cannot tell apart.
FIRST_OF_CLASS = {find_entry(name).cls: name for name in reversed(model_names())}.values()


class _Allocations(TorchDispatchMode):
    """Bytes of all storages that come into being."""

    def __init__(self):
        super().__init__()
        self.storages: dict[int, torch.UntypedStorage] = {}  # kept alive: an id stays one's own

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor):
                storage = tensor.untyped_storage()
                self.storages.setdefault(storage._cdata, storage)
        return out


class Built:
    """A network as its name builds it, what the build has allocated, and one run of it."""

    def __init__(self, name: str):
        self.entry = find_entry(name)
        with on_shapes(), _Allocations() as seen:
            self.model = self.entry.build()
        self.allocated = sum(storage.nbytes() for storage in seen.storages.values())

    @functools.cached_property
    def counted(self) -> "Counted":
        """What counting its example gives, with the example and the answers to it."""
        costs, seen, forward = [], [], _Evaluated.forward

        def counting(model, inputs):
            costs.append(count(model, inputs))
            return costs[0]

        def recorded(run, *inputs):  # a hook would be forgotten: counting puts all of it back
            seen.append((inputs, forward(run, *inputs)))

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(counting_module, "build_on_shapes", lambda *_: self.model.eval())
            patch.setattr(counting_module, "count", counting)
            patch.setattr(_Evaluated, "forward", recorded)
            row = dataclasses.asdict(index_entry(self.entry))
        ((inputs, answer),) = seen
        return Counted(json.loads(json.dumps(row)), costs[0], inputs, tree_leaves(answer))


@dataclasses.dataclass(frozen=True)
class Counted:
    row: dict
    cost: Cost
    inputs: tuple[Tensor, ...]
    answers: list[Tensor]


@pytest.fixture(scope="module", params=[name for name in model_names() if find_entry(name).ours])
def built(request: pytest.FixtureRequest) -> Built:
    return Built(request.param)


@pytest.fixture(scope="module")
def index() -> dict[str, dict]:
    """No global of this file, where counting would remember all of it along with the network."""
    return {row["name"]: row for row in json.loads(INDEX.read_text("utf-8"))}


def published_side(name: str) -> int:
    if name in SIZES:
        return SIZES[name]
    if resolution := re.search(r"_r(\d+)$", name):
        return int(resolution[1])
    if "_cifar" in name or "imagenet32" in name or name.startswith("lenet"):
        return 32
    return 28 if name == "linear_classifier" else 224


def test_building_allocates_the_network_once(built):
    if isinstance(built.model, Detector | LRASPP):
        pytest.skip("it reads the channels of its backbone's maps off a run on shapes")
    held = [*built.model.parameters(), *built.model.buffers()]
    # A little more: what an initialisation draws for a small layer before it copies it in.
    assert built.allocated <= 1.05 * sum(t.untyped_storage().nbytes() for t in held)


def test_example_is_one_input_that_the_network_answers(built):
    """A task of its own takes inputs of its own form; the network's own tests say which."""
    if built.entry.task == "classify":
        pytest.skip("held more closely below")
    inputs, answers = built.counted.inputs, built.counted.answers
    if built.entry.name in FIRST_OF_CLASS:
        with on_shapes():
            more = create_model(built.entry.name).example(batch=3)
        assert [x.shape for x in more] == [(3, *x.shape[1:]) for x in inputs]
    assert {x.shape[0] for x in (*inputs, *answers)} == {1}
    if isinstance(built.model, Detector):  # places or regions, each with its classes
        classes = built.entry.defaults["num_classes"]
        assert any(x.shape[-1] - classes in (0, 1) for x in answers)
    elif isinstance(built.model, Segmenter):  # a map a class; sizes in tests/models/segment
        assert answers[0].shape[:2] == (1, built.entry.defaults["num_classes"])
    elif "num_classes" in built.entry.defaults:
        assert answers[0].shape == (1, built.entry.defaults["num_classes"])


def test_example_is_one_image_of_the_size_that_the_name_says(built):
    if built.entry.task != "classify":
        pytest.skip("no image classifier")
    entry, side = built.entry, published_side(built.entry.name)
    (x,), (logits,) = built.counted.inputs, built.counted.answers
    assert x.shape == (1, entry.defaults["in_channels"], side, side)
    assert logits.shape == (1, entry.defaults["num_classes"])
    if entry.name in FIRST_OF_CLASS:
        with on_shapes():
            (other,) = create_model(entry.name, in_channels=2).example(batch=3)
        assert other.shape[:2] == (3, 2)


def test_the_index_is_what_counting_gives_now(built, index):
    """Everything else may read figures from the index, for here each of them is counted."""
    assert not built.counted.cost.uncounted
    now, stored = dict(built.counted.row), dict(index[built.entry.name])
    # What an operator holds inside while it runs differs a little between versions of torch.
    peak = stored.pop("peak_bytes")
    assert now.pop("peak_bytes") == pytest.approx(peak, rel=0.01), "stale: run `make atlas`"
    assert now == stored, "stale: run `make atlas`"


def test_the_index_has_every_network_in_the_order_of_registration(index):
    ours = [name for name in model_names() if find_entry(name).ours]
    assert list(index) == ours, "stale: run `make atlas`"
