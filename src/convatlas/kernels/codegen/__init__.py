"""Pieces of machine code that are written out instruction by instruction, with LLVM's builder.

Here: vectors, loads and stores, register tiles. Not here: loops over blocks (`compiled`).
"""
