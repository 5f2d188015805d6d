"""Data sets whose images lie inside of a few large files, in the form their authors publish.

Here: finding such files by their names, listing what they hold, handing out an image
by its name.
Not here: decoding and checking images (`data/images`) and files that list others (`data/sources`).
"""
