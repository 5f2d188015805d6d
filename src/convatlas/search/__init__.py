"""Choosing among many networks: what may vary, what the budget allows, who stays.

Here: candidate spaces, rejection on cost before any training, successive halving.
Not here: training one network (`train`) and the main job's order of steps (`pipeline`).
"""
