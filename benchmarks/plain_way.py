"""What a user does without convatlas: a well-known network of timm, scaled into the budget.

ResNet-18 is narrowed by its channels and MobileNetV3 Small by its channel multiplier, at the
largest usual input that the multiply-adds allow. Training is the usual one of timm's `train.py`
for small data: AdamW (0.001 for a batch of 128, weight decay 0.05), cosine after a warm-up, label
smoothing 0.1, random resized crops and mirroring; the last weights are tested.
"""

import math
import time

import torch
import torch.nn.functional as F
from torch import nn

from convatlas.cost import count

SIZES = (224, 192, 160, 128, 96, 64, 48, 32, 28)
WIDTHS = (1.0, 0.75, 0.5, 0.35, 0.25, 0.2, 0.15, 0.1)
NETWORKS = ("resnet18", "mobilenetv3_small_100")
BATCH, RATE, DECAY, WARMUP = 128, 1e-3, 0.05, 0.05
SMALL_CROP, CROP = (0.64, 1.0), (0.35, 1.0)


def build(name, width, classes, channels):
    """A network of timm, narrowed."""
    import timm
    from timm.models.mobilenetv3 import _gen_mobilenet_v3
    from timm.models.resnet import BasicBlock, ResNet

    if name == "resnet18":
        wide = [max(8, int(c * width)) for c in (64, 128, 256, 512)]
        return ResNet(
            BasicBlock,
            [2, 2, 2, 2],
            num_classes=classes,
            in_chans=channels,
            channels=wide,
            stem_width=wide[0],
        )
    assert name in timm.list_models(name)
    return _gen_mobilenet_v3(name, width, num_classes=classes, in_chans=channels)


def within(name, budget, classes, channels, side):
    """The widest network at the largest input that the budget allows; None where none does."""
    for size in [s for s in SIZES if s <= max(side * 1.1, min(SIZES))]:
        for width in WIDTHS:
            model = build(name, width, classes, channels)
            cost = count(model.eval(), torch.zeros(1, channels, size, size))
            if not budget.excess(params=cost.params, macs=cost.macs):
                return model, width, size
    return None


def train_plainly(model, images, labels, mean, std, size, seconds, seed):
    """Train for so many seconds; the share of the run decides the rate."""
    from torchvision.transforms import v2

    torch.manual_seed(seed)
    small = size <= 48
    crop = v2.RandomResizedCrop(size, scale=SMALL_CROP if small else CROP, antialias=True)
    change = v2.Compose([crop, v2.RandomHorizontalFlip()])
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY)
    model.train()
    start, done, steps = time.perf_counter(), 0.0, 0
    while done < 1:
        order = torch.randperm(len(images))
        for rows in order.split(BATCH):
            if len(rows) < 2:
                continue
            rate = done / WARMUP if done < WARMUP else 0.5 * (1 + math.cos(math.pi * done))
            for group in optimizer.param_groups:
                group["lr"] = RATE * rate
            # Eight images share a draw, as a loader with several workers would cost cores here.
            batch = torch.cat([change(part) for part in images[rows].split(8)])
            loss = F.cross_entropy(
                model((batch / 255 - mean) / std), labels[rows], label_smoothing=0.1
            )
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            steps += 1
            done = (time.perf_counter() - start) / seconds
            if done >= 1:
                break
    return steps


@torch.no_grad()
def accuracy(model: nn.Module, images, labels, mean, std):
    """Share of right answers."""
    model.eval()
    right = 0
    for rows in torch.arange(len(images)).split(250):
        right += int((model((images[rows] / 255 - mean) / std).argmax(1) == labels[rows]).sum())
    return right / len(images)
