"""Which files and folders a data set leaves out because of their names, and why.

Hidden ones (a leading dot) and those that known tools make, nothing else: a class may be called
`_other`, `@home` or `#1`.
"""

TOOL_NAMES = {  # in lower case
    "__pycache__",
    "__macosx",
    "@eadir",  # Synology
    "#recycle",
    "#snapshot",
    "@recycle",  # QNAP
    "$recycle.bin",
    "system volume information",
    "lost+found",
    "thumbs.db",
    "ehthumbs.db",
    "desktop.ini",
    "icon\r",
}
BROKEN_LINK = "a broken link"
LOOP = "a link back to a folder that contains it"


def reason_left_out(name: str) -> str | None:
    """Return why a file or folder is left out by its name; None where it is not."""
    if name.lower() in TOOL_NAMES:
        return "created by a tool"
    if name.startswith("."):
        return "hidden"
    return None
