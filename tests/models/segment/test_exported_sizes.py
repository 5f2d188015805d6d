"""One exported program answers for images and volumes of any size that the network takes."""

import pytest
import torch
from torch import nn

from convatlas.models.segment.canny import canny_edges, grey_levels
from convatlas.models.segment.dilated_context import DilatedContext
from convatlas.models.segment.unet3d import UNet3D


class Edges(nn.Module):
    """The part of SAUNet whose steps depend on the sides; whole, its export takes half a minute."""

    size_multiple, dims = 32, 2

    @classmethod
    def tiny(cls):
        return cls(), (torch.rand(2, 3, 64, 64),)

    def forward(self, x):
        return canny_edges(grey_levels(x), steps=2)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the exporter about itself
@pytest.mark.parametrize("cls", [DilatedContext, Edges, UNet3D])
def test_a_program_takes_any_number_and_size(cls):
    torch.manual_seed(0)
    model, (x,) = cls.tiny()
    multiple = model.size_multiple
    sizes = {0: torch.export.Dim("n")}
    for axis in range(2, x.ndim):
        sizes[axis] = multiple * torch.export.Dim(f"side{axis}", min=1, max=64)
    program = torch.export.export(model.eval(), (x,), dynamic_shapes=(sizes,))
    other = torch.rand(3, x.shape[1], *[multiple * k for k in (4, 3, 5)][-model.dims :])
    with torch.no_grad():
        torch.testing.assert_close(program.module()(other), model(other))
