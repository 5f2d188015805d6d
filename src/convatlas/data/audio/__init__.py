"""Sounds with labels: finding, checking, splitting, reading and changing them."""
