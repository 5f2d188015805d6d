"""What runs any kernel: compilation and its cache, threads, arguments, hardware, dispatch.

Here: nothing that knows a convolution. Not here: kernels themselves (`compiled`).
"""
