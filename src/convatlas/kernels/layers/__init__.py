"""What torch sees: operators with gradients, and the layers of a network that take them.

Here: autograd functions and module classes. Not here: addresses and memory (`launch`), loops
(`compiled`).
"""
