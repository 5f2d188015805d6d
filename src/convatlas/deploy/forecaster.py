"""From the last readings of sensors to the next ones."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from convatlas.data.graphs.series_data import DAY_MINUTES, SeriesFacts
from convatlas.data.graphs.window_form import WindowForm
from convatlas.deploy.predictor import Agreement, Item, Predictor, parts_of


class Forecaster(Predictor):
    """A network that forecasts sensors, with the scales of their readings.

    Args:
        network: (n, channels, history, sensors) -> (n, horizon, sensors).
        facts: of the data.
        mean: of each sensor in the training part.
        std: the same.

    Shape: float32 (n, history, sensors), NaN where a reading is missing, and where the network
        reads the time of day (n, history) -> float32 (n, horizon, sensors)
    """

    outputs = ("forecast",)
    items = "windows"
    decision = "the same forecast"

    def __init__(
        self, network: nn.Module, facts: SeriesFacts, mean: Sequence[float], std: Sequence[float]
    ):
        super().__init__()
        self.network, self.facts = network, facts
        self.form = WindowForm(
            mean,
            std,
            gaps=facts.gaps,
            clock=facts.clock,
            zeros_missing=facts.zeros_missing,
        )
        clock = {"clock": {0: "n"}} if facts.clock else {}
        self.inputs = {"readings": {0: "n"}, **clock}
        self.metadata = {
            "sensors": "\n".join(facts.sensors),
            "history": str(facts.history),
            "horizon": str(facts.horizon),
            "step_minutes": "" if facts.step_minutes is None else f"{facts.step_minutes:g}",
            "unit": facts.unit,
        }
        further = (
            f", and `clock`, float32 (n, {facts.history}), the time of day of each step from 0 to 1"
            if facts.clock
            else ""
        )
        self.usage = (
            f"input `readings`: float32 (n, {facts.history}, {len(facts.sensors)}), NaN where one "
            f"is missing{further}; output `forecast` (n, {facts.horizon}, {len(facts.sensors)}), "
            "the steps that follow"
        )

    def forward(self, readings: Tensor, clock: Tensor | None = None) -> Tensor:
        x, last = self.form.prepare(readings, clock)
        return self.form.readings(self.network(x).float(), last)

    @torch.no_grad()
    def last_readings(self, readings: Tensor) -> Tensor:
        """Return the last known reading of each sensor, its mean where none is known.

        Shape: (n, history, sensors) -> (n, sensors), on the CPU
        """
        clock = torch.zeros(readings.shape[:2])
        home = self.form.mean.device
        return self.form.prepare(readings.to(home), clock.to(home))[1].cpu()

    def forecast(self, item: Item, steps: int) -> Tensor:
        """Forecast any number of steps: past the horizon the network reads its own forecast.

        Args:
            item: readings, and the time of day of each step where the network reads it.

        Shape: (history, sensors), (history,) -> (steps, sensors)
        """
        past, *clock = parts_of(item)
        found: list[Tensor] = []
        while sum(map(len, found)) < steps:
            values = self.predict([(past, *clock)])[0]
            found.append(values)
            past = torch.cat([past, values])[-self.facts.history :]
            if clock:
                minutes = self.facts.step_minutes
                assert minutes is not None  # else there is no time of day
                later = clock[0] + self.facts.horizon * minutes / DAY_MINUTES
                clock = [later % 1.0]
        return torch.cat(found)[:steps]

    def example(self, batch: int = 2) -> tuple[Tensor, ...]:
        """Return usual readings at usual times, the first ones missing."""
        facts = self.facts
        noise = torch.randn(batch, facts.history, len(facts.sensors))
        readings = self.form.mean.cpu() + self.form.std.cpu() * noise
        readings[:, 0] = float("nan")
        return (readings, torch.rand(batch, facts.history)) if facts.clock else (readings,)

    def compare(self, expected: Tensor, answered: Tensor, tolerance: float) -> Agreement:
        """Compare forecasts, in standard deviations of each sensor. Shape: (n, horizon, sensors)"""
        apart = ((expected - answered).abs() / self.form.std.cpu()).flatten(1).amax(1)
        return Agreement(float((apart <= tolerance).float().mean()), float(apart.max()))
