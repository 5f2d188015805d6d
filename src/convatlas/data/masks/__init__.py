"""Masks, a class for each pixel of an image: what they are, and how files hold them.

Here: pairs of image and mask files, COCO's outlines, stacks of slices; what values mean.
Not here: reading and splitting the images (`data/images`), and figures of masks (`explain/masks`).
"""
