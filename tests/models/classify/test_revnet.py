import copy

import pytest
import torch
from torch.nn import functional as F

from convatlas.blocks.reversible import ReversibleSequence
from convatlas.errors import UsageError
from convatlas.models import create_model
from convatlas.models.classify.revnet import RevNet
from convatlas.models.classify.revnet_cifar import RevNetCifar


def randomised(model):
    """Norms whose statistics are not those of the start."""
    for name, buffer in model.named_buffers():
        if name.endswith(("mean", "var")):
            buffer.uniform_(0.5, 1.5)
    return model.double().eval()


@pytest.mark.parametrize(("cls", "size"), [(RevNetCifar, 16), (RevNetCifar, 15), (RevNet, 64)])
def test_answers_equal_a_plain_second_computation(cls, size):
    torch.manual_seed(0)
    model = randomised(cls.tiny()[0])
    x = torch.randn(2, 3, size, size, dtype=torch.float64)
    torch.testing.assert_close(model(x), _plain_revnet(model.state_dict(), x))


def _plain_revnet(state, x):
    """Read off the names of the weights alone: which layers there are, and of which shape."""

    def norm_relu(path, x):
        mean, var, weight, bias = (
            state[f"{path}.{k}"].view(1, -1, 1, 1)
            for k in ("running_mean", "running_var", "weight", "bias")
        )
        return ((x - mean) / (var + 1e-3).sqrt() * weight + bias).relu()

    def residue(path, x, stride=1):
        for index in range(9):
            if f"{path}.{index}.running_mean" in state:
                x = norm_relu(f"{path}.{index}", x)
            elif f"{path}.{index}.weight" in state:
                kernel = state[f"{path}.{index}.weight"]
                x = F.conv2d(x, kernel, stride=stride, padding=kernel.shape[-1] // 2)
                stride = 1
        return x

    def shortcut(path, x, channels, stride):
        if f"{path}.weight" in state:
            return F.conv2d(x, state[f"{path}.weight"], stride=stride)
        means = torch.zeros(len(x), channels, *[-(-s // stride) for s in x.shape[2:]]).to(x)
        before = (channels - x.shape[1]) // 2
        for row in range(means.shape[2]):
            for column in range(means.shape[3]):
                square = x[:, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
                means[:, before : before + x.shape[1], row, column] = square.mean((2, 3))
        return means

    stem = state["stages.0.0.weight"]
    x = F.conv2d(x, stem, stride=2 if stem.shape[-1] == 7 else 1, padding=stem.shape[-1] // 2)
    x = norm_relu("stages.0.1", x)
    first = 0
    if stem.shape[-1] == 7:
        x, first = F.max_pool2d(x, 3, 2, 1), 1
    last = max(int(key.split(".")[1]) for key in state if key.startswith("stages"))
    for stage in range(first, last + 1):
        stride = 1 if stage == first else 2
        for layer in range(5):
            path = f"stages.{stage}.{layer}"
            x1, x2 = x.chunk(2, 1)
            if any(key.startswith(f"{path}.f.") for key in state):
                f = residue(f"{path}.f", x2, stride)
                y1 = shortcut(f"{path}.shortcuts.0", x1, f.shape[1], stride) + f
                g = residue(f"{path}.g", y1)
                y2 = shortcut(f"{path}.shortcuts.1", x2, f.shape[1], stride) + g
                x = torch.cat([y1, y2], 1)
            elif any(key.startswith(f"{path}.0.residue") for key in state):
                for unit in range(0, 100, 2):
                    if not any(key.startswith(f"{path}.{unit}.") for key in state):
                        break
                    x1 = x1 + residue(f"{path}.{unit}.residue", x2)
                    x2 = x2 + residue(f"{path}.{unit + 1}.residue", x1)
                x = torch.cat([x1, x2], 1)
    x = norm_relu("head.0", x).mean((2, 3))
    return x @ state["classifier.weight"].T + state["classifier.bias"]


def one_step(model, x):
    """Gradients and buffers after a forward and a backward pass."""
    model = copy.deepcopy(model).train()
    logits = model(x)
    F.cross_entropy(logits, torch.arange(len(x))).backward()
    return [p.grad for p in model.parameters()], list(model.buffers()), logits.detach()


@pytest.mark.parametrize("depth", [38, 164])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-4)])
def test_recomputing_changes_neither_gradients_nor_statistics(depth, dtype, tolerance):
    torch.manual_seed(0)
    stored = create_model(f"revnet{depth}_cifar", recompute=False, width=0.5).to(dtype)
    recomputed = create_model(f"revnet{depth}_cifar", width=0.5).to(dtype)
    recomputed.load_state_dict(stored.state_dict())
    x = torch.rand(4, 3, 8, 8, dtype=dtype)
    grads, buffers, logits = one_step(recomputed, x)
    expected_grads, expected_buffers, expected_logits = one_step(stored, x)
    assert torch.equal(logits, expected_logits)
    for grad, expected in zip(grads, expected_grads, strict=True):
        assert (grad - expected).norm() <= tolerance * expected.norm()
    for buffer, expected in zip(buffers, expected_buffers, strict=True):
        assert torch.equal(buffer, expected)


def test_reversible_part_of_each_stage_is_inverted():
    torch.manual_seed(0)
    model = randomised(create_model("revnet110_cifar", width=0.25))
    x = torch.rand(2, 3, 16, 16, dtype=torch.float64)
    sequences = [m for m in model.modules() if isinstance(m, ReversibleSequence)]
    seen = []
    for sequence in sequences:
        sequence.register_forward_hook(lambda _, args, y: seen.append((args[0], y)))
    model(x)
    assert len(seen) == 3
    for sequence, (into, out) in zip(sequences, seen, strict=True):
        torch.testing.assert_close(sequence.inverse(out), into, rtol=0, atol=1e-10)


def kept_bytes(model, x):
    """What autograd keeps for the backward pass beside the weights."""
    own = {p.data_ptr() for p in model.parameters()}
    kept = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if tensor.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        logits = model.train()(x)
    assert logits.requires_grad
    return sum(kept.values())


@pytest.mark.parametrize("bottleneck", [False, True])
def test_kept_bytes_do_not_grow_with_depth_but_without_recomputing_they_do(bottleneck):
    x = torch.rand(2, 3, 16, 16)
    shallow, deep = (38, 164) if bottleneck else (38, 110)

    def of(depth, recompute):
        model = RevNetCifar(depth=depth, bottleneck=bottleneck, width=0.5, recompute=recompute)
        return kept_bytes(model, x)

    assert of(deep, True) == of(shallow, True)
    assert of(deep, False) > 2.5 * of(shallow, False)
    assert of(shallow, True) < 0.7 * of(shallow, False)


@pytest.mark.parametrize(("depth", "bottleneck"), [(2, False), (164, False), (100, True)])
def test_other_depths_are_refused(depth, bottleneck):
    with pytest.raises(UsageError, match=rf"depth must be 1[28] n \+ 2 .*got {depth}; the paper"):
        RevNetCifar(depth=depth, bottleneck=bottleneck)


def test_imagenet_form_has_two_depths_and_three_stems():
    with pytest.raises(UsageError, match="depth must be one of 56, 104, got 50"):
        RevNet(depth=50)
    with torch.device("meta"):
        strides = [
            create_model("revnet56", features_only=True, stem_stride=s).feature_strides
            for s in (4, 2, 1)
        ]
    assert strides == [[2, 4, 8, 16, 32], [2, 4, 8, 16], [1, 2, 4, 8]]
