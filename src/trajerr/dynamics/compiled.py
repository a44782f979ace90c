"""Loops as machine code: compiled when first called, kept on disk where some folder allows it."""

from collections.abc import Callable
from typing import Any, TypeVar

import numba

Loop = TypeVar("Loop", bound=Callable[..., Any])


def compiled(loop: Loop) -> Loop:
    """Compile a function of numbers and arrays; it runs without holding other threads up."""
    try:
        return numba.njit(cache=True, nogil=True)(loop)  # type: ignore[no-any-return]
    except RuntimeError:  # no writable cache folder: a read-only installation without a home
        return numba.njit(nogil=True)(loop)  # type: ignore[no-any-return]
