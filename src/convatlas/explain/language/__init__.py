"""Texts in bits per character, beside what counting symbols reaches without a network."""
