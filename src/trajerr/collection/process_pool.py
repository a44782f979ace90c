"""Processes that share work and end well: on errors, on Ctrl-C, when their parent is killed."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing.synchronize import Event
from types import TracebackType
from typing import Self, TypeVar

from trajerr.checks import require_count

Item = TypeVar("Item")
Result = TypeVar("Result")

_stop: Event | None = None  # a worker's end of its pool's event


def stopped() -> bool:
    """Whether the work under way should end early; long tasks ask between their steps."""
    return _stop is not None and _stop.is_set()


def count_workers(asked: int | None) -> int:
    """Return how many processes to use: as many as asked for, or one for each core.

    Raises
    ------
    ConfigError
        If fewer than one is asked for.
    """
    if asked is None:
        return _cores()
    require_count("workers", asked)
    return asked


def _cores() -> int:
    """Return the cores that this process may use; on macOS and Windows, all there are."""
    usable = getattr(os, "sched_getaffinity", None)
    return len(usable(0)) if usable else os.cpu_count() or 1


class ProcessPool:
    """A pool of fresh processes; with one worker, this process itself.

    Parameters
    ----------
    workers
        How many.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        # Fresh processes: forking one that runs threads may deadlock.
        context = multiprocessing.get_context("spawn")
        self._event = context.Event()
        self._executor = (
            None
            if workers == 1
            else ProcessPoolExecutor(
                workers, context, initializer=_start_worker, initargs=(self._event,)
            )
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._event.set()
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=True)

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yield results as they are done; the first error ends the others."""
        if self._executor is None:
            yield from map(function, items)
            return
        futures = [self._executor.submit(function, item) for item in items]
        for future in as_completed(futures):
            yield future.result()


def _start_worker(event: Event) -> None:
    global _stop  # a process works for one pool
    _stop = event
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process when its parent is gone: a killed parent cannot tell its workers."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
