"""Run by `test_whole_road.py` as `whole_road.py` is: a step of each network on the accelerator."""

import pytest
import torch
import torch.nn.functional as F
from emulated_device import DEVICE
from torch import Tensor
from torch.utils._pytree import tree_leaves

from convatlas.models import find_entry, model_names

CLASSES = list(dict.fromkeys(find_entry(name).cls for name in model_names()))


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_a_step_stays_on_the_accelerator(cls):
    torch.manual_seed(0)
    model, inputs = cls.tiny()
    model.to(DEVICE).train()
    inputs = tuple(x.to(DEVICE) for x in inputs)
    if hasattr(model, "training_progress"):
        model.training_progress(0.5)
    outputs = model(*inputs)
    if hasattr(model, "loss"):
        labels = torch.zeros(len(inputs[0]), dtype=torch.int64, device=DEVICE)
        loss = model.loss(outputs, labels, F.cross_entropy)
    else:
        loss = torch.stack([x.sum() for x in tensors(outputs) if x.is_floating_point()]).sum()
    loss.backward()
    made = [*tensors(outputs), *(p.grad for p in model.parameters() if p.grad is not None)]
    with torch.no_grad():
        made += tensors(model.eval()(*inputs))
    assert {x.device for x in [loss, *made]} == {DEVICE}


def tensors(nested) -> list[Tensor]:
    return [x for x in tree_leaves(nested) if isinstance(x, Tensor)]
