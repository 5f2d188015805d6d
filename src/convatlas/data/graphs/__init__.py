"""Readings of sensors over time, and graphs that join the sensors.

Here: reading tables of readings and graphs, making graphs, windows of history and what follows.
Not here: graph convolutions (`ops`), networks (`models/graphs`), forecasts (`explain/forecasts`).
"""
