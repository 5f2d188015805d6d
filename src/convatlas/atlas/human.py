"""Figures as a person reads them; they live beside the rooms because `cost` prints them too."""

from convatlas.human import human

__all__ = ["human"]
