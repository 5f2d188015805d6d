"""One Python call a kernel: it lays out memory, cuts the work into blocks and fills in arguments.

Here: everything that is decided before the threads start. Not here: gradients' rules (`layers`),
loops over values (`compiled`).
"""
