"""What holds of networks on sensors: published counts, no look ahead, no order of the sensors."""

import pytest
import torch

from convatlas.errors import UsageError
from convatlas.models import create_model
from convatlas.models.graphs.gated_time import MatchChannels, VertexNorm
from convatlas.models.graphs.graph_matrix import filter_entries
from convatlas.models.graphs.stgcn import STGCN
from convatlas.models.graphs.tcn import TCN
from convatlas.models.graphs.tgcn3d import TGCN3D, GraphTimeConv

CLASSES = (STGCN, TGCN3D, TCN)
ON_GRAPHS = (STGCN, TGCN3D)
every_class = pytest.mark.parametrize("cls", CLASSES, ids=lambda c: c.__name__)


def params(name, **options):
    return sum(p.numel() for p in create_model(name, **options).parameters())


def random_graph(vertices, each=2):
    """Edges in both directions."""
    torch.manual_seed(1)
    rows = torch.arange(vertices).repeat(each)
    columns = (rows + torch.randint(1, vertices // 2, rows.shape)) % vertices
    weights = torch.rand(len(rows)) + 0.1
    return torch.cat([rows, columns]), torch.cat([columns, rows]), torch.cat([weights, weights])


def test_stgcn_has_the_parameters_of_its_repository():
    assert params("stgcn") == 333_604
    assert params("stgcn", sensors=1026) == 845_122
    assert params("stgcn", blocks=((16, 16, 64), (16, 16, 64))) == 140_068


@pytest.mark.parametrize("name", ["stgcn", "tgcn3d"])
def test_all_sizes_but_norms_and_last_bias_are_free_of_the_sensors(name):
    more = params(name, sensors=40) - params(name, sensors=30)
    norms = 64 + 128 + 128 if name == "stgcn" else 3 * 64
    assert more == 10 * (2 * norms + 1)


@every_class
def test_no_step_of_the_features_sees_a_later_one(cls):
    model, (x,) = cls.tiny()
    model.eval()
    with torch.no_grad():
        before = model.features(x)
        for step in range(1, model.history):
            changed = x.clone()
            changed[:, :, step:] += 1 + torch.rand_like(changed[:, :, step:])
            after = model.features(changed)
            # Step i of the last maps ends at input step i + lost.
            lost = model.history - before.shape[2]
            unseen = max(0, step - lost)
            assert torch.equal(after[:, :, :unseen], before[:, :, :unseen])
            assert not torch.equal(after[:, :, unseen:], before[:, :, unseen:])


@pytest.mark.parametrize("cls", ON_GRAPHS, ids=lambda c: c.__name__)
@pytest.mark.parametrize("sparse", [False, True])
def test_naming_the_sensors_otherwise_names_the_forecasts_otherwise(cls, sparse):
    rows, columns, weights = random_graph(5)
    edges = len(filter_entries("chebyshev", rows, columns, weights, 5)[0]) if sparse else None
    options = {"sensors": 5, "edges": edges, "history": 9, "horizon": 2, "width": 1 / 16}
    model = cls(**options).eval()
    model.adjacency.set_graph(rows, columns, weights)
    for norm in (m for m in model.modules() if isinstance(m, VertexNorm)):
        torch.nn.init.normal_(norm.norm.weight)
    renamed = cls(**options).eval()
    renamed.load_state_dict(model.state_dict())
    order = torch.tensor([3, 0, 4, 1, 2])
    place = order.argsort()
    renamed.adjacency.set_graph(place[rows], place[columns], weights)
    for norm in (m for m in renamed.modules() if isinstance(m, VertexNorm)):
        norm.norm.weight.data = norm.norm.weight.data[order]
        norm.norm.bias.data = norm.norm.bias.data[order]
    (x,) = model.example(2)
    with torch.no_grad():
        expected = model(x)[..., order]
        torch.testing.assert_close(renamed(x[..., order]), expected, rtol=1e-4, atol=1e-5)
        assert not torch.allclose(model(x[..., order]), expected, atol=1e-3)


@pytest.mark.parametrize("cls", ON_GRAPHS, ids=lambda c: c.__name__)
def test_sparse_and_dense_graphs_answer_alike(cls):
    graph = random_graph(6)
    entries = len(filter_entries("chebyshev", *graph, 6)[0])
    dense = cls(sensors=6, history=9, width=1 / 16).eval()
    sparse = cls(sensors=6, history=9, width=1 / 16, edges=entries).eval()
    sparse.load_state_dict(
        {k: v for k, v in dense.state_dict().items() if k != "adjacency.dense"}, strict=False
    )
    for model in (dense, sparse):
        model.adjacency.set_graph(*graph)
    (x,) = dense.example(2)
    torch.testing.assert_close(sparse(x), dense(x), rtol=1e-4, atol=1e-5)


def test_a_spectral_filter_with_the_polynomials_values_is_the_chebyshev_one():
    """The same layer in both forms, through an eigen-decomposition of its own."""
    vertices, order, kernel = 6, 3, 2
    scaled = torch.zeros(vertices, vertices, dtype=torch.float64)
    rows, columns, values = filter_entries("chebyshev", *random_graph(vertices), vertices)
    scaled.index_put_((rows, columns), values.double(), accumulate=True)
    eigenvalues, basis = torch.linalg.eigh(scaled)
    options = {"kernel": kernel, "order": order}
    chebyshev = GraphTimeConv(3, 4, vertices, filter="chebyshev", **options).double()
    spectral = GraphTimeConv(3, 4, vertices, filter="spectral", **options).double()
    angles = eigenvalues.clamp(-1, 1).arccos()
    polynomials = torch.stack([(k * angles).cos() for k in range(order)])
    weight = chebyshev.conv.weight[..., 0].unflatten(1, (order, 3))  # (2 d, K, c, kernel)
    spectral.theta.data = torch.einsum("dkcs,kv->sdcv", weight, polynomials)
    spectral.bias.data = chebyshev.conv.bias.data[:, None, None]
    x = torch.randn(2, 3, 5, vertices, dtype=torch.float64)
    torch.testing.assert_close(spectral(x, basis), chebyshev(x, scaled))


def test_a_series_alone_does_not_see_the_others_where_weights_are_shared():
    x = torch.randn(2, 1, 12, 4)
    changed = x.clone()
    changed[..., 2] += 1
    for shared in (True, False):
        model = TCN(sensors=4, shared=shared, channels=8).eval()
        moved = (model(changed) - model(x)).abs().amax((0, 1)) > 1e-6
        assert moved.tolist() == ([False, False, True, False] if shared else [True] * 4)


def test_five_thousand_sensors_take_little_more_memory_than_their_maps():
    """No matrix of 5,000 x 5,000 (100 MB) comes about."""
    graph = random_graph(5000, each=4)
    entries = len(filter_entries("chebyshev", *graph, 5000)[0])
    model = STGCN(sensors=5000, edges=entries, width=1 / 32, history=9, blocks=((64, 32, 64),) * 2)
    model.adjacency.set_graph(*graph)
    buffers = sum(b.numel() * b.element_size() for b in model.buffers())
    assert buffers == 20 * entries
    x = torch.randn(1, 1, 9, 5000)
    with torch.profiler.profile(profile_memory=True) as seen:
        model(x).square().mean().backward()
    assert max(abs(e.self_cpu_memory_usage) for e in seen.events()) < 30e6


def test_a_residual_is_filled_with_zeros_or_narrowed():
    x = torch.randn(2, 3, 4, 5)
    wider = MatchChannels(3, 5)(x)
    assert torch.equal(wider[:, :3], x)
    assert wider[:, 3:].eq(0).all()
    assert MatchChannels(3, 2)(x).shape == (2, 2, 4, 5)


@pytest.mark.parametrize(
    ("cls", "options", "says"),
    [
        (STGCN, {"history": 8}, "STGCN: history must be 9 steps or more for 2 blocks, got 8"),
        (TGCN3D, {"history": 8}, "TGCN3D: history must be 9 steps or more for 4 layers, got 8"),
        (STGCN, {"filter": "spectral"}, "STGCN: filter must be one of chebyshev, first_order"),
        (TCN, {"kernel": 1}, "TCN: kernel must be 2 or more, got 1"),
        (TCN, {"horizon": 0}, "TCN: horizon must be 1 or more, got 0"),
    ],
)
def test_options_without_a_form_are_refused(cls, options, says):
    with pytest.raises(UsageError, match=says):
        cls(**options)


@every_class
def test_windows_of_another_form_are_refused(cls):
    model, (x,) = cls.tiny()
    for other in (x[0], x[..., 1:], x[:, :, 1:]):
        with pytest.raises(ValueError, match=f"{cls.__name__}: input must be"):
            model(other)
