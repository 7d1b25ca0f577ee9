"""Becomes a program that the kernel kills as soon as the one that started it is gone, however that ended.

Run as ``python launcher.py PARENT COMMAND...`` by a thread that outlives the program: what the kernel watches is not
the process that started it but the thread.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main() -> None:
    """Bind this process to the life of its parent, and become the command."""
    parent, *command = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):
        sys.exit("whoever started this is gone already")
    os.execvp(command[0], command)  # noqa: S606 - to become the program is the point


main()
