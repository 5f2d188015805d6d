"""Forecasts of readings: how far off they are at each horizon, beside the simplest forecasts."""
