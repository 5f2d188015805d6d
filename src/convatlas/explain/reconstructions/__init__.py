"""Images beside what a network gives back of them, its errors and its latent numbers.

Here: evaluation, answers, and principal components as the measure that a network must beat.
Not here: the network (`models/generate`), or the page that shows them (`tasks/sections`).
"""
