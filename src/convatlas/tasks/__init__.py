"""Tasks: what a network may be asked for, one wiring file each.

Here: how a task ties data, networks, training, predictor and evaluation together.
Not here: the parts themselves (they lie with their kind in `data`, `train`, `deploy`, `explain`)
and the order of the main job (`pipeline`), which is the same for every task.
"""

from importlib import import_module
from pathlib import Path

from convatlas.errors import DataError, UnknownNameError, UsageError, nearest
from convatlas.tasks.task import AnyTask
from convatlas.text import printable, true_name

# A module that holds one `TASK`, imported when asked for, or the task itself.
TASKS: dict[str, str | AnyTask] = {
    "classify": "convatlas.tasks.classify",
    "audio": "convatlas.tasks.audio",
    "separate": "convatlas.tasks.separate",
    "extract": "convatlas.tasks.extract",
    "segment": "convatlas.tasks.segment",
    "detect": "convatlas.tasks.detect",
    "forecast": "convatlas.tasks.forecast",
    "translate": "convatlas.tasks.translate",
    "generate": "convatlas.tasks.generate",
    "text": "convatlas.tasks.text",
    "language": "convatlas.tasks.language",
    "reconstruct": "convatlas.tasks.reconstruct",
}


def register_task(task: AnyTask) -> None:
    """Make `fit` and every verb know a task of your own."""
    TASKS[task.name] = task


def find_task(name: str) -> AnyTask:
    """Return the task of a name.

    Raises:
        UnknownNameError: there is none of that name.
    """
    if name not in TASKS:
        raise UnknownNameError(f"no task '{name}'{nearest(name, TASKS)}; there is {_names()}")
    found = TASKS[name]
    return import_module(found).TASK if isinstance(found, str) else found


def task_of_network(name: str, source: str | Path) -> AnyTask:
    """Return the task that a network was registered for, or the one that it is lent to.

    Args:
        name: of the network's own task.
        source: data that are those of another task, perhaps, which borrows such networks.
    """
    own = find_task(name)
    borrowers = [task for task in map(find_task, TASKS) if name in task.borrows]
    if not borrowers or own.takes(source):
        return own
    return next((task for task in borrowers if task.takes(source)), own)


def recognise_task(source: str | Path) -> AnyTask:
    """Return the task that some data look like.

    Raises:
        DataError: they have the layout of no task.
        UsageError: they have those of several; the message lists the layouts of every task.
    """
    tasks = [find_task(name) for name in TASKS]
    takers = [task for task in tasks if task.takes(source)]
    closer = {name for task in takers for name in task.before}
    takers = [task for task in takers if task.name not in closer]
    gone = not Path(true_name(str(source))).exists() and not Path(source).exists()
    if len(takers) == 1 or len(tasks) == 1 or (gone and not takers):
        return (takers or tasks)[0]  # the first task has the better words for what is wrong
    layouts = "\n".join(f"  {task.name}: {layout}" for task in tasks for layout in task.layouts)
    place = printable(source)
    if not takers:
        raise DataError(
            f"{place}: has the layout of no task; --task names one. Layouts:\n{layouts}"
        )
    names = " and ".join(task.name for task in takers)
    raise UsageError(f"{place}: suits {names}; say which with --task. Layouts:\n{layouts}")


def _names() -> str:
    return ", ".join(TASKS)
