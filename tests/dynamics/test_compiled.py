"""Compiled loops where nothing may be kept on disk."""

from types import SimpleNamespace

import numba
import numpy as np
import pytest

from trajerr.dynamics import compiled


def test_a_loop_runs_where_no_folder_takes_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_cache(*, cache: bool = False, **options: bool) -> object:
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return numba.njit(**options)

    monkeypatch.setattr(compiled, "numba", SimpleNamespace(njit=without_cache))

    @compiled.compiled
    def total(values: np.ndarray) -> float:
        found = 0.0
        for value in values:
            found += value
        return found

    assert total(np.arange(4.0)) == 6.0
    assert total.signatures
