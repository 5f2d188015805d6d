"""Plain integers: how channels, weights and outputs lie in memory and what a layer has to compute.

Here: sizes, steps, plans and the names of activations. Not here: tensors and addresses.
"""
