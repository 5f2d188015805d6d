"""Data sets: finding, checking, splitting, reading and transforming them.

Here: everything between a user's files and the tensors a network trains on.
Not here: losses and metrics (`train/tasks`) and pictures of the data (`explain`).
"""
