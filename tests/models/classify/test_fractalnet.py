import pytest
import torch
from torch import nn
from torch.nn import functional as F

from convatlas.errors import UsageError
from convatlas.models import create_model
from convatlas.models.classify.fractalnet import FractalBlock, FractalNet
from convatlas.ops.drop_path import global_drop_path


def _block(columns=3, **options):
    torch.manual_seed(0)
    options = {"drop_path": 0.0, **options}
    block = FractalBlock(3, [4] * columns, **options).double().eval()
    for norm in block.modules():
        if isinstance(norm, nn.BatchNorm2d):  # such that most values pass the ReLU
            nn.init.normal_(norm.running_mean, std=0.1)
            nn.init.uniform_(norm.running_var, 0.1, 0.3)
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.uniform_(norm.bias, 0.2, 0.8)
    return block


class _Plain:
    """The paper's rule, read as a recursion: f(1) = conv, f(C + 1) = join(f(C) of f(C), conv).

    A fractal gives its paths by column, not yet joined, so that all that end together meet at once.
    """

    def __init__(self, block, join, pool):
        self.state, self.join, self.pool = block.state_dict(), join, pool
        self.used = [0] * len(block.columns)

    def __call__(self, x):
        last = len(self.used) - 1
        paths = self.fractal(x, last, last)
        return self.join({c: F.max_pool2d(y, self.pool) for c, y in paths.items()})

    def fractal(self, x, levels, deepest):
        column = deepest - levels
        paths = {column: self.conv(x, column)}
        if levels > 0:
            middle = self.join(self.fractal(x, levels - 1, deepest))
            paths |= self.fractal(middle, levels - 1, deepest)
        return paths

    def conv(self, x, column):
        path = f"columns.{column}.{self.used[column]}"
        self.used[column] += 1
        x = F.conv2d(x, self.state[f"{path}.0.weight"], self.state[f"{path}.0.bias"], padding=1)
        mean, var, weight, bias = (
            self.state[f"{path}.2.{k}"].view(1, -1, 1, 1)
            for k in ("running_mean", "running_var", "weight", "bias")
        )
        return ((x - mean) / (var + 1e-5).sqrt() * weight + bias).relu()


def _mean(paths):
    return torch.stack(list(paths.values())).mean(0)


@pytest.mark.parametrize("columns", [1, 2, 3, 4])
@pytest.mark.parametrize("pool", [1, 2])
def test_a_block_is_the_recursion_of_the_paper(columns, pool):
    block = _block(columns, pool=pool)
    x = torch.randn(2, 3, 6, 7, dtype=torch.float64)
    plain = _Plain(block, _mean, pool)
    torch.testing.assert_close(block(x), plain(x))
    assert plain.used == [2**c for c in range(columns)]


@pytest.mark.parametrize("column", [0, 1, 2])
def test_a_single_column_is_what_global_drop_path_leaves_on(column):
    block = _block()
    x = torch.randn(2, 3, 6, 6, dtype=torch.float64)
    plain = _Plain(block, lambda paths: global_drop_path(paths, column), 2)
    torch.testing.assert_close(block(x, column), plain(x))


def test_columns_are_pooled_before_the_last_join_not_after():
    block = _block()
    pooled_late = _block(pool=1)
    x = torch.randn(2, 3, 6, 6, dtype=torch.float64)
    assert (F.max_pool2d(pooled_late(x), 2) - block(x)).abs().max() > 1e-3


def test_thin_columns_are_widened_linearly_to_the_widest_of_their_join():
    block = FractalBlock(3, [8, 4, 2], drop_path=0.0).eval()
    assert {key: (c.in_channels, c.out_channels) for key, c in block.widen.items()} == {
        "2_2": (2, 4),
        "4_1": (4, 8),
        "4_2": (2, 8),
    }
    reads = [conv[0].in_channels for conv in block.columns[2]]
    assert reads == [3, 2, 4, 2]
    x = torch.randn(1, 3, 4, 4)
    assert block(x).shape == block(x, 2).shape == (1, 8, 2, 2)
    assert (block.widen["4_2"](-torch.rand(1, 2, 4, 4)) < 0).any(), "a ReLU follows"


def test_local_drop_path_varies_in_training_and_is_off_in_evaluation():
    block = _block(drop_path=0.5)
    x = torch.randn(2, 3, 6, 6, dtype=torch.float64)
    assert torch.equal(block(x), block(x))
    torch.testing.assert_close(block(x), _Plain(block, _mean, 2)(x))
    for module in block.modules():  # norms as in evaluation: only the joins are left to chance
        module.training = module is block
    assert len({block(x).sum().item() for _ in range(40)}) > 5


def _columns_with_gradients(model):
    x = torch.rand(2, 3, 64, 64)
    model.zero_grad()
    model.train()(x).sum().backward()
    blocks = [b for b in model.stages if isinstance(b, FractalBlock)]
    return [
        tuple(c for c, convs in enumerate(b.columns) if convs[0][0].weight.grad is not None)
        for b in blocks
    ]


def test_global_drop_path_takes_the_same_column_in_every_block():
    torch.manual_seed(0)
    model = FractalNet(columns=3, width=0.07, num_classes=3, global_share=1.0)
    seen = [_columns_with_gradients(model) for _ in range(12)]
    assert all(len(set(blocks)) == 1 and len(blocks[0]) == 1 for blocks in seen)
    assert {blocks[0] for blocks in seen} == {(0,), (1,), (2,)}


def test_the_share_of_global_batches_is_the_option(monkeypatch):
    torch.manual_seed(0)
    model = FractalNet(columns=2, width=0.07, num_classes=3, global_share=0.5).train()
    columns = []
    monkeypatch.setattr(
        FractalBlock, "forward", lambda self, x, column=None: columns.append(column) or x
    )
    model.classifier = nn.Identity()
    x = torch.rand(2, 3, 29, 29)
    for _ in range(400):
        model(x)
    share = sum(column is not None for column in columns) / len(columns)
    assert share == pytest.approx(0.5, abs=0.08)


def test_one_column_alone_can_be_evaluated():
    model = FractalNet(columns=3, width=0.07, num_classes=3, column=2).eval()
    x = torch.rand(1, 3, 32, 32)
    y = x
    for stage in model.stages:
        if isinstance(stage, FractalBlock):
            for conv in stage.columns[2]:
                y = conv(y)
            y = stage.pool(y)
        else:
            y = stage(y)
    torch.testing.assert_close(model(x), model.classifier(y.mean((2, 3))))
    model.column = None
    assert not torch.allclose(model(x), model.classifier(y.mean((2, 3))))


def test_depth_34_is_four_blocks_of_eight_between_two_layers(counted):
    with torch.device("meta"):
        model = create_model("fractalnet34")
    deepest = [len(b.columns[3]) for b in model.stages if isinstance(b, FractalBlock)]
    assert deepest == [8, 8, 8, 8]
    assert sum(deepest) + 2 == 34
    params, macs = 0, 0
    for into, out, side in ((64, 128, 56), (128, 256, 28), (256, 512, 14), (512, 1024, 7)):
        weights = 9 * (4 * into * out + 11 * out * out)  # one conv of each column reads the input
        params += weights + 15 * 3 * out  # bias, scale and shift
        macs += weights * side * side
    params += 64 * 3 * 49 + 2 * 64 + 1024 * 1000 + 1000
    macs += 64 * 3 * 49 * 112 * 112 + 1024 * 1000
    assert counted("fractalnet34") == (params, macs)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"columns": 0}, "columns must be from 1 up, got 0"),
        ({"column": 4}, "column must be one of 0, 1, 2, 3, got 4"),
        ({"drop_path": 1.0}, "drop_path must be from 0 to under 1"),
        ({"global_share": 1.5}, "global_share from 0 to 1, got 0.15 and 1.5"),
        ({"stem_stride": 3}, "stem_stride must be one of 4, 2, 1, got 3"),
    ],
)
def test_wrong_options_are_refused(wrong, message):
    with pytest.raises(UsageError, match=message):
        FractalNet(**wrong)
