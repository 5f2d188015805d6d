"""Answers that are one class of several: evaluation, confusion, mistakes, what a score is worth."""
