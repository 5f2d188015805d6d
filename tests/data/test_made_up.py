import pytest
import torch

from convatlas.data import CachedImages, make_images, open_images
from convatlas.data.images.synthetic import SHAPES


def test_the_same_seed_writes_the_same_files(tmp_path):
    a, b, c = (make_images(tmp_path / n, seed=s) for n, s in (("a", 1), ("b", 1), ("c", 2)))
    paths = sorted(path.relative_to(a) for path in a.rglob("*.png"))
    assert len(paths) == 36
    assert all((a / path).read_bytes() == (b / path).read_bytes() for path in paths)
    assert any((a / path).read_bytes() != (c / path).read_bytes() for path in paths)


def test_every_shape_can_be_learnt(tmp_path):
    data = open_images(make_images(tmp_path, classes=6, per_class=60, size=24))
    torch.manual_seed(0)
    train, test = (CachedImages(data.splits[name], 24) for name in ("train", "test"))
    layers = [torch.nn.Conv2d(3, 16, 5, stride=2), torch.nn.ReLU(), torch.nn.Conv2d(16, 32, 5)]
    layers += [torch.nn.ReLU(), torch.nn.AdaptiveMaxPool2d(2), torch.nn.Flatten()]
    model = torch.nn.Sequential(*layers, torch.nn.Linear(128, 6))
    optimiser = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(120):
        loss = torch.nn.functional.cross_entropy(model(train.images / 255), train.labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    right = (model(test.images / 255).argmax(1) == test.labels).float().mean()
    assert right > 0.6  # chance is 0.17


def test_more_classes_than_shapes_are_refused(tmp_path):
    with pytest.raises(ValueError, match=f"classes must be 1 to {len(SHAPES)}, got 7"):
        make_images(tmp_path, classes=7)
