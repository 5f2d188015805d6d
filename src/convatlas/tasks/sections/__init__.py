"""Parts of the report that belong to one kind of answer, each with its template.

Here: what the report shows of an answer, and the look that all its parts share.
Not here: the page around them (`pipeline.report`) and the figures themselves (`explain`).
"""
