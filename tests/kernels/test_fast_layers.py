import copy
import io

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from convatlas.kernels import enabled, fast_layers, restore_layers


def network():
    """Stem, depthwise pair, squeeze of the channels and a residual: what efficient nets have."""

    def line(into, out, kernel, act, **options):
        conv = nn.Conv2d(into, out, kernel, padding=kernel // 2, bias=False, **options)
        return nn.Sequential(conv, nn.BatchNorm2d(out), *([act()] if act else []))

    class Residual(nn.Module):
        only_calls_and_adds = True

        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(
                line(16, 48, 1, nn.ReLU6),
                line(48, 48, 3, nn.SiLU, groups=48),
                line(48, 16, 1, None),
            )
            self.norm = nn.BatchNorm2d(16, momentum=None)

        def forward(self, x):
            return self.norm(x + self.body(x))

    return nn.Sequential(
        line(3, 16, 3, nn.ReLU, stride=2),
        Residual(),
        nn.Conv2d(16, 16, 3, groups=16, stride=2, padding=1),
        nn.BatchNorm2d(16),
        nn.Hardswish(inplace=True),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 5),
    )


def batch():
    return torch.randn(4, 3, 28, 28), torch.randint(0, 5, (4,))


def train(model, steps=3):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    torch.manual_seed(3)
    for _ in range(steps):
        x, y = batch()
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    return model


def pair():
    plain = network()
    return plain, fast_layers(copy.deepcopy(plain))


def test_training_gives_the_same_weights_and_running_statistics():
    plain, fast = pair()
    train(plain)
    train(fast)
    assert plain.state_dict().keys() == fast.state_dict().keys()
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(fast.state_dict()[name], value, rtol=1e-4, atol=1e-5)
    x, _ = batch()
    torch.testing.assert_close(fast.eval()(x), plain.eval()(x), rtol=1e-4, atol=1e-5)


def strided(norm):
    """Running statistics with gaps between their values, which a kernel would write into."""
    for name in ("running_mean", "running_var"):
        norm._buffers[name] = torch.stack((norm._buffers[name],) * 2, 1)[:, 0]


def short_count(norm):
    norm.num_batches_tracked = norm.num_batches_tracked.int()


@pytest.mark.parametrize(
    ("options", "change"),
    [
        ({"momentum": 0.3}, None),
        ({"momentum": None}, None),
        ({"affine": False}, None),
        ({"track_running_stats": False}, None),
        ({}, strided),
        ({}, short_count),
    ],
)
def test_every_kind_of_norm_keeps_the_running_statistics_of_torch(options, change):
    plain = nn.Sequential(
        nn.Conv2d(8, 24, 1, bias=False), nn.BatchNorm2d(24, **options), nn.ReLU6(),
        nn.Conv2d(24, 24, 3, groups=24, bias=False), nn.BatchNorm2d(24, **options),
    )  # fmt: skip  # a layer with its norm on a line
    fast = fast_layers(copy.deepcopy(plain))
    for norm in (plain[1], plain[4], fast[1], fast[4]) if change else ():
        change(norm)
    for _ in range(3):
        x = torch.randn(4, 8, 9, 9)
        torch.testing.assert_close(fast(x), plain(x), rtol=1e-4, atol=1e-5)
    for found, expected in zip(fast.buffers(), plain.buffers(), strict=True):
        assert found.dtype == expected.dtype
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    if change is strided:
        var = fast[1].running_var
        assert torch.as_strided(var, var.shape, (2,), 1).eq(1).all()  # the gaps are as they were


def graph_of(y):
    """Names of all steps of the way back."""
    seen, queue = set(), [y.grad_fn]
    while queue:
        node = queue.pop()
        if node is not None and node not in seen:
            seen.add(node)
            queue += [after for after, _ in node.next_functions]
    return [node.name() for node in seen]


def test_the_kernels_are_what_runs():
    _, fast = pair()
    names = graph_of(fast(batch()[0]).sum())
    counts = {kind: sum(kind in name for name in names) for kind in ("_FusedConv", "_StemConv")}
    assert counts == {"_FusedConv": 3, "_StemConv": 1}  # expand, filter, project; the stem
    assert sum("_Depthwise" in name for name in names) == 1  # the one that has a bias
    assert sum("_BatchNormAct" in name for name in names) == 2  # behind the sum and that one
    # The stem's result is read twice but finished once; the sum is finished with its residual.
    assert sum("_Normalise" in name for name in names) == 2
    assert not any(word in name for word in ("Relu", "Hardtanh", "Silu") for name in names)


def test_a_norm_passes_from_layer_to_layer_unfinished():
    fast = fast_layers(
        nn.Sequential(
            nn.Sequential(nn.Conv2d(3, 16, 3, bias=False), nn.BatchNorm2d(16), nn.ReLU()),
            nn.Sequential(nn.Conv2d(16, 32, 1, bias=False), nn.BatchNorm2d(32)),
        ),
    )
    names = graph_of(fast(torch.randn(2, 3, 9, 9)).sum())
    assert sum("_Normalise" in name for name in names) == 1
    fast[1].register_forward_pre_hook(lambda _m, inputs: seen.append(inputs[0]))
    seen = []
    names = graph_of(fast(torch.randn(2, 3, 9, 9)).sum())
    assert sum("_Normalise" in name for name in names) == 2
    assert seen[0].min() == 0


class Block(nn.Module):
    """Says nothing about its forward."""

    def __init__(self):
        super().__init__()
        conv = nn.Conv2d(4, 4, 1, bias=False)
        self.body, self.flag = nn.Sequential(conv, nn.BatchNorm2d(4)), True

    def forward(self, x):
        y = self.body(x)
        return -y if self.flag else y


class Adding(Block):
    only_calls_and_adds = True

    def forward(self, x):
        y = self.body(x)
        return y + y if self.flag else y


class Heir(Adding):
    """Takes the forward, and with it what is said of it."""


class Negating(Adding):
    """Has another forward, of which nothing is said."""

    def forward(self, x):
        return -self.body(x)


@pytest.mark.parametrize(
    ("kind", "taken"), [(Block, False), (Adding, True), (Heir, True), (Negating, False)]
)
def test_a_block_says_by_itself_that_norms_may_pass_through_it(kind, taken):
    torch.manual_seed(0)
    model, x = kind(), torch.randn(3, 4, 5, 5)
    expected = copy.deepcopy(model)(x)
    fast_layers(model)
    assert (type(model) is not kind) == taken
    torch.testing.assert_close(model(x), expected)
    model.flag = False
    torch.testing.assert_close(model(x), copy.deepcopy(restore_layers(model))(x))


@pytest.mark.parametrize(
    "options", [{}, {"dilation": 4, "padding": 4}, {"stride": 2, "bias": False}]
)
def test_a_depthwise_layer_along_time_takes_the_kernel(options):
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv1d(6, 6, 3, groups=6, **options), nn.Conv1d(6, 4, 1))
    fast = fast_layers(copy.deepcopy(plain))
    x = torch.randn(2, 6, 40)
    aim = torch.randn_like(plain(x))
    for model in (plain, fast):
        (model(x) * aim).sum().backward()
    torch.testing.assert_close(fast(x), plain(x))
    for a, b in zip(fast.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-5)
    assert any("_Depthwise" in name for name in graph_of(fast(x)))
    assert not any("_Depthwise" in name for name in graph_of(plain(x)))


def test_weights_are_the_same_objects_and_layers_keep_their_kind():
    model = network()
    before, kinds = list(model.parameters()), [type(m).__name__ for m in model.modules()]
    assert fast_layers(model) is model
    assert all(a is b for a, b in zip(before, model.parameters(), strict=True))
    assert [type(m).__name__ for m in model.modules()] == kinds
    assert isinstance(model[3], nn.BatchNorm2d)
    again = fast_layers(model)
    assert [type(m) for m in again.modules()] == [type(m) for m in model.modules()]


def test_undoing_gives_the_plain_classes_back():
    plain, fast = pair()
    restore_layers(fast)
    assert [type(m) for m in fast.modules()] == [type(m) for m in plain.modules()]


def test_a_saved_or_copied_network_works():
    fast = fast_layers(nn.Sequential(nn.Conv2d(4, 4, 3, groups=4), nn.BatchNorm2d(4)))
    x = torch.randn(1, 4, 6, 6)
    file = io.BytesIO()
    torch.save(fast.eval(), file)
    file.seek(0)
    loaded = torch.load(file, weights_only=False)  # our own file
    assert type(loaded[0]) is nn.Conv2d
    torch.testing.assert_close(loaded(x), fast(x))
    twin = copy.deepcopy(fast)
    assert type(twin[0]) is type(fast[0])
    assert twin[0].weight is not fast[0].weight
    torch.testing.assert_close(twin(x), fast(x))


def test_a_hook_still_sees_the_layer_it_was_put_on():
    plain, fast = pair()
    seen = []
    for model in (plain, fast):
        model[0][1].register_forward_hook(lambda _m, _i, out: seen.append(out.detach().clone()))
    x, _ = batch()
    plain(x)
    fast(x)
    torch.testing.assert_close(seen[1], seen[0], rtol=1e-4, atol=1e-5)


def test_a_replaced_norm_leaves_the_activation():
    plain, fast = pair()
    plain[0][1] = fast[0][1] = nn.Identity()
    x, _ = batch()
    torch.testing.assert_close(fast.eval()(x), plain.eval()(x), rtol=1e-4, atol=1e-5)


def test_switched_off_it_is_torch_bit_for_bit():
    plain, fast = pair()
    x, _ = batch()
    with enabled(False):
        assert torch.equal(fast(x), plain(x))


@pytest.mark.slow
def test_export_sees_the_plain_layers():
    _, fast = pair()
    x, _ = batch()
    program = torch.export.export(fast.eval(), (x,))
    targets = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    assert not any("convatlas" in target for target in targets)
    torch.testing.assert_close(program.module()(x), fast(x), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_compile_takes_the_whole_network_without_a_break():
    model = fast_layers(network()[0])
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    x, _ = batch()
    plain = restore_layers(copy.deepcopy(model))
    torch.testing.assert_close(compiled(x), plain(x), rtol=1e-4, atol=1e-5)
