"""CPU time of commands with all of their processes, also those that outlive the command that began them (Linux).

Workers of a sweep are children of a server, which ends by itself once the command has ended: nobody waits for it, so
its time and theirs would be missing. This process takes in whoever is left without a parent and waits for them.
"""

from __future__ import annotations

import ctypes
import os
import resource

_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of linux/prctl.h


def cpu_of_children() -> float:
    """Wait for all processes that descend from this one; return the CPU time of all that have ended [s].

    Call it before the first command too: from then on, orphans are children of this process.
    """
    if ctypes.CDLL(None, use_errno=True).prctl(_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "this process cannot take in what its children leave behind")
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            used = resource.getrusage(resource.RUSAGE_CHILDREN)
            return used.ru_utime + used.ru_stime
