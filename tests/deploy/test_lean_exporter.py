"""The exporter leaves out its second trace only where that changes nothing."""

import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from convatlas.deploy.lean_exporter import is_decomposed, lean_exporter
from convatlas.deploy.onnx_operators import translations
from convatlas.deploy.onnx_program import quiet


class Plain(nn.Module):
    """What pre-processing and a small network need."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)

    def forward(self, x: Tensor) -> Tensor:
        return 1 - torch.relu(self.conv(x.to(torch.float32) / 255)).flatten(1)


class InPlace(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).mul_(2).add_(1)


class NoForm(Plain):
    """`T` is a name of its own, for which the exporter knows no ONNX form."""

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        return y @ y.T


def exported(network: nn.Module, x: Tensor) -> onnx.ModelProto:
    with quiet(), torch.no_grad():
        program = torch.onnx.export(
            network.eval(),
            (x,),
            dynamo=True,
            dynamic_shapes=({0: "n", 2: "h", 3: "w"},),
            custom_translation_table=dict(translations()),
            verbose=False,
        )
    return program.model_proto


@pytest.mark.slow
@pytest.mark.parametrize(("network", "traced"), [(Plain, 1), (InPlace, 2), (NoForm, 2)])
def test_a_second_trace_is_made_where_it_must_be_and_the_file_is_right(
    network, traced, monkeypatch
):
    x = torch.randint(0, 256, (3, 1, 6, 7), dtype=torch.uint8)
    network, decomposed = network(), []
    plain = ExportedProgram.run_decompositions

    def counted(*args, **options):
        decomposed.append(1)
        return plain(*args, **options)

    monkeypatch.setattr(ExportedProgram, "run_decompositions", counted)
    with lean_exporter():
        lean = exported(network, x)
    assert 1 + len(decomposed) == traced
    batch = torch.cat([x, x])[..., :5]
    (answer,) = onnxruntime.InferenceSession(lean.SerializeToString()).run(
        None, {lean.graph.input[0].name: batch.numpy()}
    )
    torch.testing.assert_close(torch.from_numpy(answer), network(batch).detach())


def test_everything_is_as_before_afterwards():
    from torch.onnx._internal.exporter._registration import ONNXRegistry

    before = ExportedProgram.run_decompositions, ONNXRegistry.from_torchlib
    with lean_exporter():
        assert ExportedProgram.run_decompositions is not before[0]
        first, second = ONNXRegistry.from_torchlib(), ONNXRegistry.from_torchlib()
        first.register_op(torch.ops.aten.rsub.Scalar, lambda x, number: x)
        assert not second.is_registered(torch.ops.aten.rsub.Scalar)
    assert before == (ExportedProgram.run_decompositions, ONNXRegistry.from_torchlib)


def test_a_branch_or_a_changed_input_is_decomposed():
    class Branch(nn.Module):
        def forward(self, x):
            return torch.cond(x.sum() > 0, torch.sin, torch.cos, (x,))

    class Changed(nn.Module):
        def forward(self, x):
            x.add_(1)
            return x

    for network in (Branch(), Changed()):
        program = torch.export.export(network, (torch.ones(2),))
        assert not is_decomposed(program, {}, lambda operator: True)


class AloneNorm(nn.Module):
    """The norm's form is of our own; torch decomposes it where it is not told of that."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.norm(x.to(torch.float32)))


@pytest.mark.slow
def test_inside_another_a_file_is_made_with_the_operators_of_its_own_export():
    x = torch.randint(0, 256, (3, 1, 6, 7), dtype=torch.uint8)
    with lean_exporter():
        exported(AloneNorm(), x)
        with lean_exporter(), quiet(), torch.no_grad():
            own = torch.onnx.export(AloneNorm().eval(), (x,), dynamo=True, verbose=False)
    assert {node.op_type for node in own.model_proto.graph.node} >= {"BatchNormalization"}
