"""Forecasting: absolute error of the steps that follow, missing ones left out."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from convatlas.data.graphs.series_data import WindowSplit
from convatlas.data.graphs.window_form import WindowForm
from convatlas.metric import Metric


def mae(unit: str = "") -> Metric:
    """Return the metric: the mean absolute error over sensors and steps, in the data's unit."""
    return Metric("mae", "mean absolute error", unit, higher_is_better=False)


Window = tuple[Tensor, Tensor, Tensor]  # history (h, v), clock (h,), what follows (horizon, v)


class WindowSet(Dataset[Window]):
    """Windows with what follows them; a clock of zeros where the data have none."""

    def __init__(self, split: WindowSplit):
        self._split = split
        self._no_clock = torch.zeros(split.facts.history)

    def __len__(self) -> int:
        return len(self._split)

    def __getitem__(self, index: int) -> Window:
        found = self._split.read(index)
        past, clock = found if isinstance(found, tuple) else (found, self._no_clock)
        return past, clock, self._split.truth(index)


class Forecast:
    """What forecasting brings to the loop.

    Args:
        train: windows with what follows them.
        form: how the network reads them; errors count in its standard deviations.
    """

    def __init__(self, train: Dataset, validate: Dataset, form: WindowForm, unit: str = ""):
        self.metric = mae(unit)
        self._train, self._validate, self._form = train, validate, form

    def loaders(self, batch_size: int, seed: int) -> tuple[DataLoader, DataLoader]:
        """Return batches for training, in an order that the seed fixes, and for validation."""
        order = torch.Generator().manual_seed(seed)
        train = DataLoader(self._train, batch_size, shuffle=True, generator=order)
        return train, DataLoader(self._validate, batch_size)

    def loss(self, model: nn.Module, batch: Window) -> Tensor:
        """Return the mean absolute error of known readings, in deviations of each sensor."""
        past, clock, truth = batch
        form = self._form.to(past.device)
        x, last = form.prepare(past, clock)
        target = (truth - last[:, None]) / form.std
        known = ~target.isnan()
        errors = (model(x) - target.where(known, 0)).abs() * known
        return errors.sum() / known.sum().clamp(min=1)

    @torch.no_grad()
    def validate(self, model: nn.Module, loader: DataLoader, gather: Callable) -> dict[str, float]:
        """Return `val_loss` and `val_mae` over the whole split and all processes."""
        model.eval()
        total, scaled, seen = 0.0, 0.0, 0.0
        for past, clock, truth in loader:
            form = self._form.to(past.device)
            x, last = form.prepare(past, clock)
            known = ~truth.isnan()
            errors = (form.readings(model(x), last) - truth).where(known, 0).abs()
            sums = errors.sum((1, 2)), (errors / form.std).sum((1, 2)), known.sum((1, 2)).float()
            sums = gather(sums)
            total += float(sums[0].sum())
            scaled += float(sums[1].sum())
            seen += float(sums[2].sum())
        return {"val_loss": scaled / max(seen, 1), "val_mae": total / max(seen, 1)}
