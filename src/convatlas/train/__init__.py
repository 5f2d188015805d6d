"""Training: one loop, the tasks and recipes that plug into it, logs and checkpoints.

Here: everything that changes weights; it is handed a module and imports no model.
Not here: which network to train (`search`) and what a budget asks for (`pipeline`).
"""
