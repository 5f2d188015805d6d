"""Candidates for sensors: each network is built on the graph that it works with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from torch import nn

from convatlas.data.graphs.sensor_graph import SensorGraph
from convatlas.data.graphs.series_data import SeriesData
from convatlas.models.graphs.graph_matrix import filter_entries
from convatlas.models.registry import Entry
from convatlas.search.space import Candidate, width_sweeps

MAX_DENSE = 512  # sensors whose graph is kept as a dense matrix: faster, and small
MAX_SPECTRAL = 1024  # sensors up to which eigenvectors are computed unasked
SERIES = "series"


@dataclass(frozen=True)
class GraphCandidate(Candidate):
    """A network on a graph, which `build` puts into it; stored weights hold the graph as well."""

    graph: SensorGraph | None = field(default=None, compare=False, repr=False)

    def build(self) -> nn.Module:
        """Build the network with fresh weights and its graph; on shapes alone without it."""
        model = super().build()
        matrix = getattr(model, "adjacency", None)
        on_shapes = any(buffer.is_meta for buffer in model.buffers())
        if self.graph is not None and matrix is not None and not on_shapes:
            matrix.set_graph(self.graph.rows, self.graph.columns, self.graph.weights)
        return model


def forecast_candidates(
    entries: Sequence[Entry], data: SeriesData, *, fixed_width: bool
) -> Mapping[str, Sequence[Sequence[Candidate]]]:
    """Return each network at the widths worth trying, on the graph that it works with.

    A network that takes a given graph gets that of the data, or else that of the series' likeness.
    """
    facts = data.facts_
    sensors, rows = len(facts.sensors), {}
    for entry in entries:
        options = {
            "sensors": sensors,
            "history": facts.history,
            "horizon": facts.horizon,
            "in_channels": facts.channels,
        }
        source, filter = getattr(entry.cls, "graph_from", None), entry.defaults.get("filter")
        graph = None
        if source is not None:
            if filter == "spectral" and not fixed_width and sensors > MAX_SPECTRAL:
                continue
            graph = data.similar if source == SERIES or data.graph is None else data.graph
            if sensors > MAX_DENSE and filter != "spectral":
                edges = filter_entries(
                    str(filter), graph.rows, graph.columns, graph.weights, sensors
                )
                options["edges"] = len(edges[0])
        sweeps = width_sweeps(
            entry, options=options, forms=[({"steps": facts.history}, {})], fixed_width=fixed_width
        )
        rows[entry.name] = [
            [GraphCandidate(c.name, c.options, c.example, graph=graph) for c in sweep]
            for sweep in sweeps
        ]
    return rows
