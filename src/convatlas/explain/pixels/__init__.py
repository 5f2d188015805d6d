"""Predicted values of images: how many bits they cost, beside two simple codes, and new images."""
