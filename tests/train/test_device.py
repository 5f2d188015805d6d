"""Everything of a step lies where the network lies: `meta` stands in for an accelerator."""

import torch
from torch import nn

from convatlas.data import Preprocess
from convatlas.train.tasks.classify import Classify


class Recorded(torch.overrides.TorchFunctionMode):
    """Refuses an operation that mixes devices, as an accelerator would."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        given = [a.device.type for a in args if isinstance(a, torch.Tensor) and a.dim()]
        moves = getattr(func, "__name__", "") in ("to", "_to_copy")
        assert moves or len(set(given)) <= 1, f"{func}: {given}"
        return out


def test_the_loss_of_a_batch_is_computed_where_the_network_is():
    preprocess = Preprocess(3, 8, [0.5] * 3, [0.2] * 3)
    task = Classify([], [], num_classes=4, augment=lambda x: x, normalise=preprocess.normalise)
    with torch.device("meta"):
        model = nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 4)
        )
        images = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
        labels = torch.zeros(2, dtype=torch.int64)
    with Recorded():
        loss = task.loss(model.train(), (images, labels))
    loss.backward()
    assert loss.device.type == "meta"
    assert {p.grad.device.type for p in model.parameters()} == {"meta"}
    assert preprocess.mean.device.type == "cpu"
