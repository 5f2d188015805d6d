"""Hand-tuned CPU and GPU versions of operators, behind the same functions.

Here: kernels and the rule that picks one for a shape; every one has a plain twin in `ops`.
Not here: anything a user calls by name; that is the operator's own file in `ops`.
"""
