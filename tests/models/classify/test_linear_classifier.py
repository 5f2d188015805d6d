import pytest
import torch

from convatlas.models import create_model


@pytest.mark.parametrize(
    ("channels", "size", "classes", "params", "macs"),
    [
        (1, 28, 10, 7_850, 7_840),
        (3, 32, 10, 30_730, 30_720),
        (3, 32, 100, 307_300, 307_200),
        (3, 224, 1000, 150_529_000, 150_528_000),
    ],
)
def test_counts(channels, size, classes, params, macs, counted):
    options = {"in_channels": channels, "size": size, "num_classes": classes}
    assert counted("linear_classifier", **options) == (params, macs)


def test_each_logit_is_the_sum_of_the_image_times_a_template():
    torch.manual_seed(0)
    model = create_model("linear_classifier", in_channels=2, size=(3, 5), num_classes=4)
    x = torch.randn(6, 2, 3, 5)
    templates = model.classifier.weight.view(4, 2, 3, 5)
    torch.testing.assert_close(model(x), (x[:, None] * templates).sum((2, 3, 4)))


def test_another_size_is_refused_with_the_right_one():
    with pytest.raises(ValueError, match=r"must be exactly \(n, 1, 28, 28\), got \(1, 1, 32, 32\)"):
        create_model("linear_classifier")(torch.zeros(1, 1, 32, 32))
