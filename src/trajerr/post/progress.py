"""What a call is at, on a terminal: a line that counts seconds."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

_TICK_S = 0.5
_CLEARED = "\r\x1b[K"


@contextmanager
def stage(what: str, stream: TextIO | None = None) -> Iterator[None]:
    """Show what is being done while the context is open, if the stream is a terminal."""
    stream = sys.stderr if stream is None else stream
    if not stream.isatty():
        yield
        return
    done, began = threading.Event(), time.monotonic()

    def show() -> None:
        while True:
            stream.write(f"{_CLEARED}{what} … {time.monotonic() - began:.0f} s")
            stream.flush()
            if done.wait(_TICK_S):
                return

    thread = threading.Thread(target=show, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        stream.write(_CLEARED)
        stream.flush()
