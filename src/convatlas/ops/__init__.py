"""Convolution operators, one a file, as plain functions on tensors.

Here: what a paper writes as one formula, with a thin module only where there are weights.
Not here: parts built of several layers; those two models share go to `blocks`.
"""
