"""Published training runs, one YAML file a paper, as `train/recipe_file.py` reads them.

Here: what the paper states, and where; what it does not state says so in a comment.
Not here: the meaning of an option; that is `train/recipe.py`.
"""
