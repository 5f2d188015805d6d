"""Functions that Numba compiles: loops over rows and blocks, in terms of whole vectors.

Here: what the threads run. Not here: single instructions (`codegen`), Python calls (`launch`).
"""
