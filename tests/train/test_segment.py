"""Losses and figures of masks beside a peer library and slow plain forms."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import TensorDataset

from convatlas.models.segment.mask_losses import dice_loss, enlarge_logits, pixel_cross_entropy
from convatlas.models.segment.segmenter import IGNORED
from convatlas.train.loop import train
from convatlas.train.mask_figures import MaskFigures, count_pixels
from convatlas.train.recipe import Recipe
from convatlas.train.tasks.segment import Segment

torchmetrics = pytest.importorskip("torchmetrics")


def masks_and_logits(classes=4, shape=(3, 9, 7), ignored=0.2):
    random = torch.Generator().manual_seed(0)
    masks = torch.randint(0, classes, shape, generator=random)
    masks[torch.rand(shape, generator=random) < ignored] = IGNORED
    return masks, torch.randn(shape[0], classes, *shape[1:], generator=random)


@pytest.mark.parametrize("shape", [(3, 9, 7), (2, 4, 5, 3)])
def test_cross_entropy_is_the_weighted_mean_of_the_pixels_that_have_a_class(shape):
    masks, logits = masks_and_logits(shape=shape)
    weights = torch.tensor([1.0, 2.0, 0.5, 3.0])
    plain = functional.cross_entropy(logits, masks, weights, ignore_index=IGNORED)
    torch.testing.assert_close(pixel_cross_entropy(logits, masks, class_weights=weights), plain)
    known = masks != IGNORED
    pixels = torch.rand(shape)
    by_pixel = functional.cross_entropy(
        logits.movedim(1, -1)[known], masks[known], reduction="none"
    )
    expected = (by_pixel * pixels[known]).sum() / pixels[known].sum()
    torch.testing.assert_close(pixel_cross_entropy(logits, masks, pixel_weights=pixels), expected)
    nothing = torch.full_like(masks, IGNORED)
    assert pixel_cross_entropy(logits, nothing) == 0
    assert dice_loss(logits, nothing) == 0


def test_dice_loss_is_the_formula_written_out_and_0_for_the_truth():
    masks, logits = masks_and_logits()
    found, losses = logits.softmax(1), []
    for label in range(4):
        both = sizes = 0.0
        for place in (masks != IGNORED).nonzero().tolist():
            p = found[place[0], label, place[1], place[2]].item()
            t = float(masks[tuple(place)] == label)
            both, sizes = both + p * t, sizes + p + t
        losses.append(1 - (2 * both + 1) / (sizes + 1))
    assert dice_loss(logits, masks).item() == pytest.approx(sum(losses) / 4, abs=1e-5)
    certain = 50.0 * functional.one_hot(masks.clamp(max=3), 4).movedim(-1, 1)
    assert dice_loss(certain, masks) < 1e-6


def test_figures_are_those_of_torchmetrics():
    masks, logits = masks_and_logits(shape=(3, 30, 20))
    found = logits.argmax(1)
    figures = MaskFigures(count_pixels(found, masks, 4))
    peers = {
        "iou": torchmetrics.JaccardIndex("multiclass", num_classes=4, average="none"),
        "dice": torchmetrics.F1Score("multiclass", num_classes=4, average="none"),
    }
    known = masks != IGNORED
    for name, peer in peers.items():
        expected = peer(found[known], masks[known]).double()
        torch.testing.assert_close(getattr(figures, name), expected, rtol=1e-6, atol=1e-6)
    accuracy = torchmetrics.Accuracy("multiclass", num_classes=4, average="micro")
    assert figures.pixel_accuracy == pytest.approx(accuracy(found[known], masks[known]).item())
    assert figures.mean_iou == pytest.approx(figures.iou.mean().item())


def test_a_class_that_is_nowhere_does_not_count():
    truth = torch.tensor([[0, 0, 1, 1]])
    figures = MaskFigures(count_pixels(torch.tensor([[0, 1, 1, 1]]), truth, 3))
    assert figures.iou[:2].tolist() == pytest.approx([1 / 2, 2 / 3])
    assert figures.iou[2].isnan()
    assert figures.mean_iou == pytest.approx(7 / 12)


class Tiny(nn.Module):
    """Two convolutions, answering for each pixel or coarsely."""

    def __init__(self, stride=1):
        super().__init__()
        self.a = nn.Conv2d(1, 8, 3, padding=1, stride=stride)
        self.b = nn.Conv2d(8, 3, 1)

    def forward(self, x):
        return self.b(self.a(x).relu())


def squares(count=24, side=16):
    random = torch.Generator().manual_seed(1)
    masks = torch.zeros(count, side, side, dtype=torch.long)
    for mask in masks:
        y, x = torch.randint(0, side - 6, (2,), generator=random).tolist()
        mask[y : y + 6, x : x + 6] = 1 + (y + x) % 2
    masks[:, 0] = IGNORED
    noise = torch.rand(masks.shape, generator=random)
    images = (60 * masks.clamp(max=2) + 40 * noise).to(torch.uint8)[:, None]
    return TensorDataset(images, masks)


@pytest.mark.parametrize("stride", [1, 2])
def test_it_learns_squares_and_validates_as_the_figures_say(stride):
    torch.manual_seed(0)
    data, model = squares(), Tiny(stride)
    task = Segment(data, data, num_classes=3, normalise=lambda x: x.float() / 80 - 1)
    recipe = Recipe(lr=0.02, batch_size=8, epochs=40, ema_decay=0)
    before = task.validate(model, task.loaders(8, 0)[1], lambda x: x)["val_mean_iou"]
    result = train(model, task, recipe, way="torch")
    assert result.figures["val_mean_iou"] > max(0.6, before + 0.2)
    images, masks = data.tensors
    with torch.no_grad():
        logits = enlarge_logits(model.eval()(images.float() / 80 - 1), masks)
    figures = MaskFigures(count_pixels(logits.argmax(1), masks, 3))
    assert result.figures["val_mean_iou"] == pytest.approx(figures.mean_iou)
    assert result.figures["val_loss"] == pytest.approx(
        functional.cross_entropy(logits, masks, ignore_index=IGNORED).item(), rel=1e-5
    )


def test_a_network_with_losses_of_its_own_is_asked_for_their_sum_in_training_alone():
    class Own(Tiny):
        def losses(self, images, masks):
            return {"a": self(images).sum() * 0 + 2, "b": images.new_tensor(3.0)}

    data, model = squares(4), Own()
    task = Segment(data, data, num_classes=3, normalise=lambda x: x.float() / 255)
    assert task.loss(model.train(), next(iter(task.loaders(4, 0)[0]))) == 5
    assert task.loss(model.eval(), next(iter(task.loaders(4, 0)[0]))) < 5
    wrong = Segment(data, data, num_classes=4, normalise=lambda x: x.float() / 255)
    with pytest.raises(ValueError, match="must answer for 4 classes, got 3"):
        wrong.validate(model, wrong.loaders(4, 0)[1], lambda x: x)
