"""What a network costs: parameters, multiply-adds, memory, time; watched while it runs.

Here: counting on shapes alone and measuring on this machine; no model is known by name.
Not here: published figures (`claims`) and what a budget allows (`search/budget.py`).

Counting rule: one mac = one multiply-add. Convolutions and linear layers count (also inside
attention, routing and generated weights); bias, normalisation, activation, pooling and
element-wise work do not. Batch 1, evaluation mode, auxiliary heads off, at the stated size.
"""

from convatlas.cost.count import count, macs
from convatlas.cost.latency import Latency, best_latency, measure_latency
from convatlas.cost.report import Cost, LayerCost

__all__ = ["Cost", "Latency", "LayerCost", "best_latency", "count", "macs", "measure_latency"]
