import pytest
import torch
from torch.nn import functional as F

from convatlas.errors import UsageError
from convatlas.models import create_model
from convatlas.models.classify.densenet_cifar import DenseNetCifar

COUNTS = {  # by the paper's layer tables: 10 classes, 100 classes, macs of 10
    "densenet40_k12_cifar": (1_019_722, 1_060_132, 264_812_928),
    "densenet100_k12_cifar": (6_979_642, 7_084_852, 1_769_516_448),
    "densenet100_k24_cifar": (27_249_082, 27_457_972, 6_889_347_744),
    "densenet_bc100_k12_cifar": (769_162, 800_032, 287_929_692),
    "densenet_bc250_k24_cifar": (15_324_406, 15_480_556, 5_418_785_724),
    "densenet_bc190_k40_cifar": (25_624_430, 25_821_620, 9_301_945_740),
}


@pytest.mark.parametrize("name", COUNTS)
def test_counts_are_those_of_the_layer_tables(name, counted):
    ten, hundred, macs = COUNTS[name]
    assert counted(name) == (ten, macs)
    assert counted(name, num_classes=100)[0] == hundred


def _pytorchcv_paths(ours):
    """Norms stand first there too; a transition opens the stage that it leads to."""
    pairs = []
    for s in range(3):
        if s > 0:
            pairs.append((f"stage{s + 1}.trans{s + 1}.conv", f"stages.{s}.0.0"))
        block = f"stages.{s}.1"
        for i in range(len(ours.get_submodule(block).layers)):
            for k, part in enumerate(("first", "second"), start=1):
                theirs = f"stage{s + 1}.unit{i + 1}.conv{k}"
                pairs.append((theirs, f"{block}.layers.{i}.{part}"))
    paths = [("features.init_block", "stages.0.0"), ("output", "classifier")]
    paths.append(("features.post_activ.bn", "stages.2.2"))
    for theirs, mine in pairs:
        paths += [(f"features.{theirs}.bn", f"{mine}.0"), (f"features.{theirs}.conv", f"{mine}.2")]
    return paths


def test_answers_of_bc_equal_pytorchcv(assert_same_answers):
    provider = pytest.importorskip("pytorchcv.model_provider")
    ours = create_model("densenet_bc100_k12_cifar")
    # Its last pooling is a fixed 8 x 8 window, hence the full size.
    peer = provider.get_model("densenet100_k12_bc_cifar10")
    assert_same_answers(ours, peer, _pytorchcv_paths(ours), size=32)


@pytest.mark.parametrize("compression", [1.0, 0.5])
def test_answers_without_bottlenecks_equal_a_plain_second_computation(compression):
    torch.manual_seed(0)
    model = DenseNetCifar(depth=13, growth=4, compression=compression).double().eval()
    for name, buffer in model.named_buffers():
        if name.endswith(("mean", "var")):
            buffer.uniform_(0.5, 1.5)
    state = model.state_dict()
    x = torch.randn(2, 3, 11, 11, dtype=torch.float64)
    torch.testing.assert_close(model(x), _plain_densenet(state, x, layers=3))


def _plain_densenet(state, x, *, layers):
    def norm_act(path, x):
        mean, var, weight, bias = (
            state[f"{path}.{k}"].view(1, -1, 1, 1)
            for k in ("running_mean", "running_var", "weight", "bias")
        )
        return ((x - mean) / (var + 1e-5).sqrt() * weight + bias).relu()

    x = F.conv2d(x, state["stages.0.0.weight"], padding=1)
    for stage in range(3):
        if stage > 0:
            weight = state[f"stages.{stage}.0.0.2.weight"][:, :, 0, 0]
            x = torch.einsum("dc,nchw->ndhw", weight, norm_act(f"stages.{stage}.0.0.0", x))
            h, w = (side // 2 * 2 for side in x.shape[2:])
            corners = (x[:, :, i:h:2, j:w:2] for i in (0, 1) for j in (0, 1))
            x = sum(corners) / 4
        for i in range(layers):
            path = f"stages.{stage}.1.layers.{i}.first"
            new = F.conv2d(norm_act(f"{path}.0", x), state[f"{path}.2.weight"], padding=1)
            x = torch.cat([x, new], 1)
    x = norm_act("stages.2.2", x)
    return x.mean((2, 3)) @ state["classifier.weight"].T + state["classifier.bias"]


def test_the_first_convolution_is_twice_the_growth_only_in_bc():
    def first(**options):
        return DenseNetCifar(depth=16, growth=12, **options).stages[0][0].out_channels

    assert first() == 16
    assert first(bottleneck=True) == 16
    assert first(compression=0.5) == 16
    assert first(bottleneck=True, compression=0.5) == 24


def test_compression_takes_the_floor():
    model = DenseNetCifar(depth=10, growth=5, compression=0.5)
    assert model.stages[1][0][0][2].out_channels == (16 + 2 * 5) // 2
    assert model.stages[2][0][0][2].out_channels == (13 + 2 * 5) // 2


@pytest.mark.parametrize(
    ("depth", "bottleneck", "rule"), [(41, False, "3 n"), (4, False, "3 n"), (43, True, "6 n")]
)
def test_depths_that_do_not_make_three_equal_blocks_are_refused(depth, bottleneck, rule):
    with pytest.raises(UsageError, match=f"depth must be {rule} \\+ 4 with.*got {depth}"):
        DenseNetCifar(depth=depth, bottleneck=bottleneck)


@pytest.mark.parametrize("wrong", [{"growth": 0}, {"compression": 0.0}, {"compression": 1.5}])
def test_a_block_that_would_pass_nothing_on_is_refused(wrong):
    with pytest.raises(UsageError, match="growth must be from 1 up and compression above 0"):
        DenseNetCifar(**wrong)
