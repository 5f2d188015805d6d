"""Every kind of convolution by name: how to build one, what it costs, what it is wired like.

Here: for each kind its options, the module they build and the arithmetic of its cost; pictures.
Not here: the operators themselves; each has its own file in `ops`.
"""
