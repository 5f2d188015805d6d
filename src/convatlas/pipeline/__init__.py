"""The main job: data and a budget in; a chosen, trained, checked, exported network out.

Here: the order of the steps, the run folder they leave behind, and its report.
Not here: any step itself; each lives in the room that is named after it.
"""
