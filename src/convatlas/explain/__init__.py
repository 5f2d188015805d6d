"""What a trained network did and why: confusion, worst mistakes, later heat maps.

Here: a trained model and data in, numbers and pictures out.
Not here: the page they are shown on; the report is in `pipeline`.
"""
