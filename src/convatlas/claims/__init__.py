"""Published figures as data: one TOML a paper, every figure it prints, and their loader.

Here: what a paper printed, where, how exactly it is rounded, and why ours differs if it does.
Not here: our own counts and the comparison; `atlas` holds the two side by side.
"""
