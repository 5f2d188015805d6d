"""Sentences: pairs for translation, texts with labels, and the symbols that networks read them as.

Here: reading TSV, CSV, JSONL and aligned files, splits, vocabularies, batches of alike lengths.
Not here: networks on symbols (`models/translate`, `models/text`), decoding (`deploy`), scores of
translations (`explain/translations`).
"""
