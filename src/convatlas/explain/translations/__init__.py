"""Translations: how near they are to those of people, by length and beside the simplest ones."""
