import pytest
import torch
from torch import Tensor, nn

from convatlas.data.images.preprocess import Preprocess
from convatlas.deploy.classifier import ImageClassifier
from convatlas.deploy.onnx_file import export_onnx

CLASSES = ["plain", "<b>&\"quoted'", "zwei\nZeilen", "猫 と 犬", ""]


class Mixed(nn.Module):
    """What exporters stumble over: shuffle, batch norm, dropout, adaptive pooling, distances."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.ChannelShuffle(2),
            nn.Conv2d(8, 8, 3, groups=2, stride=2),
            nn.BatchNorm2d(8),
            nn.Hardswish(),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Dropout(0.5),
        )
        self.codes = nn.Parameter(torch.randn(len(CLASSES), 32))

    def forward(self, x: Tensor) -> Tensor:
        return -(self.body(x)[:, None] - self.codes).square().sum(2)


def build_classifier(mean: float = 0.4) -> ImageClassifier:
    torch.manual_seed(0)
    network = Mixed()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):  # statistics as after training, not 0 and 1
            module.running_mean.normal_()
            module.running_var.uniform_(0.2, 3)
            module.weight.data.uniform_(0.5, 2)
            module.bias.data.normal_()
    return ImageClassifier(Preprocess(3, 24, [mean] * 3, [0.3] * 3), network, CLASSES)


def random_images(*sizes: tuple[int, int], channels: int = 3, each: int = 1) -> list[Tensor]:
    random = torch.Generator().manual_seed(1)
    return [
        torch.randint(0, 256, (*size, channels), dtype=torch.uint8, generator=random)
        for _ in range(each)
        for size in sizes
    ]


@pytest.fixture(scope="session")
def classes():
    return CLASSES


@pytest.fixture(scope="session")
def build():
    return build_classifier


@pytest.fixture(scope="session")
def images():
    return random_images


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "model.onnx"
    export_onnx(build_classifier(), path, metadata={"model": "mixed ✓"})
    return path
