"""What does not fit into the memory of this machine is refused before it is built."""

from convatlas.errors import UsageError
from convatlas.text import format_number

MAX_BATCH = 2**20  # inputs in one batch; far above it torch's own sizes overflow


def check_memory(place: str, needed_bytes: int) -> None:
    """Refuse what is counted to take more memory than is free.

    Args:
        place: what to name, such as `lenet5 --batch 64`.

    Raises:
        UsageError: it is more than is free, where the system says how much is.
    """
    from convatlas.data.free_memory import UNKNOWN, free_memory_bytes

    free = free_memory_bytes()
    if free != UNKNOWN and needed_bytes > free:
        raise UsageError(
            f"{place}: needs {format_number(needed_bytes, 'bytes')} of memory, "
            f"{format_number(free, 'bytes')} are free; use a smaller batch or input"
        )
