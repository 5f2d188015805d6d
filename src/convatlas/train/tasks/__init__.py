"""What a task brings to the one loop: its loss, its metric, how a batch is read.

Here: one file a task (classify, later detect, segment, speech …).
Not here: the loop itself, or anything two tasks would both need; that is `train`.
"""
