"""What every registered network owes, tested once for all of them through `tiny` and `example`."""

import copy
import inspect
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from convatlas.cost.shapes import QuickShapes
from convatlas.deploy.fold_norm import fold
from convatlas.deploy.lean_exporter import lean_exporter
from convatlas.deploy.onnx_operators import translations
from convatlas.errors import UsageError
from convatlas.models import find_entry, model_names
from convatlas.models.headless import Features, num_features, reset_classifier
from convatlas.models.on_shapes import on_shapes
from shallow import drop_alike, drop_repeats, layer_kinds, short_tables

ENTRIES = [find_entry(name) for name in model_names()]
CLASSES = list(dict.fromkeys(entry.cls for entry in ENTRIES))
CLASSIFIERS = list(dict.fromkeys(e.cls for e in ENTRIES if e.task == "classify"))

# Classes whose channels no single factor scales, each with the reason.
NO_WIDTH = {
    "LinearClassifier": "it has no channels",
    "LeNet5": "tied to its table of connections",
}

# Networks of a hundred layers that are all of one kind, of which a few show what width does.
FEWER_LAYERS = {"ElasticDenseNet": {"layers": (3, 3, 3, 3)}}

TAPPED = ("GoogLeNet",)  # it counts its modules: from some of them auxiliary classifiers read

NO_FEATURES = ("CapsNet", "LinearClassifier")  # the classes are not made of a vector of features

NO_HALF = ("GoogLeNet",)  # torch has no average pooling in float16 on the CPU

every_class = pytest.mark.parametrize("cls", CLASSES, ids=lambda c: c.__name__)
every_classifier = pytest.mark.parametrize("cls", CLASSIFIERS, ids=lambda c: c.__name__)


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """Tiny networks gain nothing from threads, and lose much where other work holds the cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def tiny(cls: type[nn.Module], **options: int) -> tuple[nn.Module, tuple[Tensor, ...]]:
    torch.manual_seed(0)
    return cls.tiny(**options)


@pytest.fixture
def shallow() -> Callable[[type[nn.Module]], tuple[nn.Module, tuple[Tensor, ...]]]:
    """Build as `tiny` does, with each kind of block, but few of each."""

    def build(cls: type[nn.Module]) -> tuple[nn.Module, tuple[Tensor, ...]]:
        with short_tables():
            model, inputs = tiny(cls)
        drop_repeats(model)
        if cls.__name__ not in TAPPED:
            drop_alike(model, inputs)
        return model, inputs

    return build


def answers(model: nn.Module, inputs: tuple[Tensor, ...]) -> list[Tensor]:
    with torch.no_grad():
        return tree_leaves(model.eval()(*inputs))


def mirrored(x: Tensor, around: float = 1) -> Tensor:
    """Other values that an input can take; symbols keep to their vocabulary."""
    return around - x if x.is_floating_point() else x.flip(1)


def halved(x: Tensor) -> Tensor:
    return x / 2 if x.is_floating_point() else x.roll(1, dims=1)


def assert_close(got: list[Tensor], expected: list[Tensor], tolerance: float = 1e-4) -> None:
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


def training_loss(model: nn.Module, x: Tensor, target: Tensor) -> Tensor:
    """As the classification task asks for it: the network's own loss where it has one."""
    outputs, criterion = model.train()(x), nn.functional.cross_entropy
    own = getattr(model, "loss", None)
    return own(outputs, target, criterion) if own else criterion(outputs, target)


@every_class
def test_every_parameter_gets_a_gradient(cls):
    model, inputs = tiny(cls)
    if hasattr(model, "loss"):
        training_loss(model, *inputs, torch.tensor([0, 3])).backward()
    else:
        parts = tree_leaves(model.train()(*inputs))
        sum((part * torch.randn_like(part)).sum() for part in parts).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name


@every_class
def test_in_evaluation_one_item_does_not_see_its_neighbours(cls):
    model, inputs = tiny(cls)
    batch = answers(model, inputs)
    alone = answers(model, tuple(x[:1] for x in inputs))
    assert_close(alone, [y[:1] for y in batch])
    changed = tuple(torch.cat([x[:1], mirrored(x[1:], 3)]) for x in inputs)
    assert_close([y[:1] for y in answers(model, changed)], [y[:1] for y in batch])


@every_class
def test_weights_survive_save_and_load(cls, tmp_path):
    model, inputs = tiny(cls)
    model.train()(*inputs)  # so that running statistics are not those of the start
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    torch.manual_seed(1)
    other, _ = cls.tiny()
    other.load_state_dict(load_file(tmp_path / "weights.safetensors"), strict=True)
    for a, b in zip(answers(other, inputs), answers(model, inputs), strict=True):
        assert torch.equal(a, b)


@every_class
def test_memory_format_does_not_change_the_answer(cls):
    model, inputs = tiny(cls)
    expected = answers(model, inputs)
    volumes = any(x.dim() == 5 for x in inputs)
    form = torch.channels_last_3d if volumes else torch.channels_last
    last = tuple(x.contiguous(memory_format=form) if x.dim() in (4, 5) else x for x in inputs)
    assert_close(answers(model.to(memory_format=form), last), expected)


@every_class
def test_seed_decides_the_starting_weights(cls):
    first, again = tiny(cls)[0].state_dict(), tiny(cls)[0].state_dict()
    assert all(torch.equal(first[key], again[key]) for key in first)


@every_classifier
@pytest.mark.parametrize("channels", [1, 4])
def test_channels_and_classes_can_be_chosen(cls, channels):
    model, (x,) = tiny(cls, in_channels=channels, num_classes=7)
    assert x.shape[:2] == (2, channels)
    assert model.eval()(x).shape == (2, 7)
    with pytest.raises(ValueError, match=rf"{cls.__name__}: input must be .*\(n, {channels}, "):
        model(torch.rand(2, channels + 1, *x.shape[2:]))


@every_classifier
def test_four_images_are_learned_by_heart(cls):
    model, inputs = tiny(cls)
    x = torch.randn(4, *inputs[0].shape[1:])
    y = torch.arange(4)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    # Most need under 30 steps; how many a network without norms needs depends on how the processor
    # rounds (GoogLeNet: 40 on one, more on another).
    while len(losses) < 100 and (not losses or losses[-1] >= 0.1 * losses[0]):
        optimizer.zero_grad()
        loss = training_loss(model, x, y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]


@every_classifier
def test_the_smallest_size_works_and_one_pixel_less_is_refused_clearly(cls):
    model, (x,) = tiny(cls)
    side = getattr(model, "min_size", None)
    height, width = getattr(model, "exact_size", (side, side))
    assert model.eval()(torch.rand(1, x.shape[1], height, width)).isfinite().all()
    for size in ((height - 1, width), (height, width - 1)):
        with pytest.raises(ValueError, match=f"{cls.__name__}: input must be") as caught:
            model(torch.rand(1, x.shape[1], *size))
        assert str(height) in str(caught.value)


@every_classifier
def test_any_width_builds_and_a_wider_network_is_not_smaller(cls):
    has_width = "width" in inspect.signature(cls).parameters
    assert has_width == (cls.__name__ not in NO_WIDTH)
    if not has_width:
        return
    sizes = []
    for width in (0.1, 0.3, 0.5, 0.77, 1.0, 1.3, 2.0):
        with on_shapes(), torch.no_grad():
            options = FEWER_LAYERS.get(cls.__name__, {})
            model = cls(width=width, num_classes=10, **options).eval()
            sizes.append(sum(p.numel() for p in model.parameters()))
            drop_repeats(model)  # a repeat takes and gives what the block before it gives
            with QuickShapes():
                assert model(*model.example()).shape == (1, 10)
    assert all(a < b for a, b in pairwise(sizes))


@every_class
def test_float16_is_finite_once_the_norms_have_seen_images(cls):
    model, inputs = tiny(cls)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
            module.momentum = 1.0  # one batch is all that the statistics see
    images = tuple(
        torch.rand(8, *x.shape[1:]) if x.is_floating_point() else x[:1].repeat(8, 1) for x in inputs
    )
    with torch.no_grad():
        model.train()(*images)
    if cls.__name__ in NO_HALF:
        with torch.autocast("cpu", torch.float16):
            got = answers(model, inputs)
    else:
        got = answers(model.half(), tuple(x.half() if x.is_floating_point() else x for x in inputs))
    assert all(y.isfinite().all() for y in got)


@every_classifier
def test_the_last_layer_reads_the_features_of_the_network_without_it(cls):
    model, inputs = tiny(cls)
    if cls.__name__ in NO_FEATURES:
        with pytest.raises(UsageError, match=f"{cls.__name__} has no"):
            reset_classifier(model, 0)
        return
    expected, length = answers(model, inputs), num_features(model)
    headless = copy.deepcopy(model)
    headless.reset_classifier(0)
    (features,) = answers(headless, inputs)
    assert features.shape == (2, length)
    (place,) = (name for name, m in headless.named_modules() if isinstance(m, Features))
    last = model.get_submodule(place)
    if not isinstance(last, nn.Conv2d):  # of class maps the mean is taken after the layer
        assert_close(answers(last, (features,)), expected)
    headless.reset_classifier(7)
    assert answers(headless, inputs)[0].shape == (2, 7)


@every_class
def test_traced_network_agrees_also_at_another_batch_size(cls):
    model, inputs = tiny(cls)
    traced = torch.fx.symbolic_trace(model.eval())
    more = tuple(torch.cat([x, mirrored(x[:1])]) for x in inputs)
    assert_close(answers_of(traced, more), answers(model, more))


@every_class
def test_a_shallow_build_has_each_kind_of_block_and_layer(cls, shallow):
    (whole, _), (short, inputs) = tiny(cls), shallow(cls)
    assert layer_kinds(short) == layer_kinds(whole)
    assert all(y.isfinite().all() for y in answers(short, inputs))


# The exporters' own libraries warn about themselves; what is tested here is the answer.
exporting = pytest.mark.filterwarnings("ignore")


@pytest.mark.slow
@exporting
@every_class
def test_scripted_traced_and_extracted_networks_agree(cls, shallow):
    features = pytest.importorskip("torchvision.models.feature_extraction")
    model, inputs = shallow(cls)
    expected = answers(model, inputs)
    torch.fx.symbolic_trace(model.train())  # as training with quantised values does
    traced = torch.fx.symbolic_trace(model.eval())
    assert_close(answers_of(torch.jit.script(traced), inputs), expected)
    assert_close(answers_of(torch.jit.trace(model, inputs, check_trace=False), inputs), expected)
    last = features.get_graph_node_names(model)[1][-1]
    extracted = answers_of(features.create_feature_extractor(model, [last]), inputs)
    assert_close(extracted, expected[-1:])  # one node, where a network has several answers


@pytest.mark.slow
@exporting
@every_class
def test_compiled_network_agrees(cls, shallow):
    """One graph without a break; what a backend makes of it is torch's own affair."""
    model, inputs = shallow(cls)
    torch.compiler.reset()
    compiled = torch.compile(model.eval(), fullgraph=True, backend="eager")
    assert_close(answers_of(compiled, inputs), answers(model, inputs))


@pytest.mark.slow
@exporting
@every_class
def test_exported_program_and_its_onnx_file_agree_also_at_another_batch_size(
    cls, shallow, tmp_path
):
    """One export serves both: the file is made of the program that was just held to the network.

    Norms are folded first, as for a user's file: the exporter takes half as long, three traces.
    """
    onnxruntime = pytest.importorskip("onnxruntime")
    model, inputs = shallow(cls)
    batch = tuple({0: torch.export.Dim("batch")} for _ in inputs)
    examples = (inputs, tuple(torch.cat([x, mirrored(x), halved(x)]) for x in inputs))
    expected = [answers(model, example) for example in examples]
    fold(model)
    program = torch.export.export(model, inputs, dynamic_shapes=batch)
    for example, answer in zip(examples, expected, strict=True):
        assert_close(answers_of(program.module(), example), answer)
    path = tmp_path / "model.onnx"
    table = dict(translations())
    # As for a user's file; through a loop torch keeps what gradients need, which has no ONNX form.
    with lean_exporter(), torch.no_grad():
        onnx = torch.onnx.export(
            program, dynamo=True, verbose=False, custom_translation_table=table
        )
    assert onnx is not None
    onnx.save(path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [i.name for i in session.get_inputs()]
    for example, answer in zip(examples, expected, strict=True):
        feed = {name: x.numpy() for name, x in zip(names, example, strict=True)}
        got = [torch.from_numpy(y) for y in session.run(None, feed)]
        assert_close(got, answer, tolerance=1e-3)


def answers_of(function, inputs: tuple[Tensor, ...]) -> list[Tensor]:
    with torch.no_grad():
        return tree_leaves(function(*inputs))
