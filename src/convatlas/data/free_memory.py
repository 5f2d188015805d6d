"""How much memory may still be taken."""

import os
from pathlib import Path

UNKNOWN = 2 * 2**30  # where the system does not say
MEMINFO = Path("/proc/meminfo")
CONTAINER = Path("/sys/fs/cgroup")


def free_memory_bytes() -> int:
    """Free memory in bytes, within the container's own limit where there is one."""
    return min(system_bytes(), container_bytes())


def system_bytes() -> int:
    """Return what the system can give without swapping."""
    try:
        for line in MEMINFO.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):  # not Linux
        return UNKNOWN


def container_bytes() -> int:
    """Return what the control group leaves; without a limit, no bound."""
    try:
        limit = int((CONTAINER / "memory.max").read_text())  # "max" where unlimited
        return max(0, limit - int((CONTAINER / "memory.current").read_text()))
    except (OSError, ValueError):
        return 2**63
