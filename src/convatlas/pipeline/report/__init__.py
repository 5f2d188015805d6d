"""The report of a run: one HTML file that opens anywhere, offline.

Here: what it shows, gathered from a run, and the page itself.
Not here: what a network answered and how good that is (`explain`).
"""
