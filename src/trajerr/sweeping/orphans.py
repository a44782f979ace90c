"""Runs side by side that end when the sweep that started them was killed."""

import multiprocessing
import os
import threading
import time

from trajerr.sweeping.owner import Owner

WATCH = "watches the sweep's process"
LOOK_EVERY_S = 0.5


def end_with_the_sweep() -> None:
    """Have this process end when the one that started it is gone.

    joblib's processes, which this is for, would train on and then wait for ever: they hold the
    very pipe that they read from. A run on another machine is nobody's child and goes on.
    """
    parent = multiprocessing.parent_process()
    watched = any(thread.name == WATCH for thread in threading.enumerate())
    if parent is not None and parent.pid is not None and not watched:
        starter = Owner.of(parent.pid)
        threading.Thread(target=_watch, args=(starter,), name=WATCH, daemon=True).start()


def _watch(starter: Owner) -> None:
    while starter.lives():
        time.sleep(LOOK_EVERY_S)
    os._exit(1)
