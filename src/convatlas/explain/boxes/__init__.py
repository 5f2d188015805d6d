"""What boxes are worth: which true ones were found, average precision, how sure it is, pictures.

Here: everything that is said or drawn of the boxes of a split.
Not here: finding them (`deploy/detector.py`) and the metric of training (`train/box_figures.py`).
"""
