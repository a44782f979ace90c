"""What this process takes of memory, and what is free."""

import sys

import numpy as np
import pytest

from trajerr.errors import ConfigError
from trajerr.training import memory

MB = 1_000_000


@pytest.mark.skipif(sys.platform != "linux", reason="measured on Linux alone")
def test_what_is_held_is_counted():
    before = memory.resident()
    held = np.ones(100 * MB, np.uint8)
    assert memory.resident() - before > 90 * MB
    assert memory.peak() >= before + 90 * MB
    assert len(held) < memory.available() < 1 << 50


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_other_systems_are_refused(monkeypatch, system):
    monkeypatch.setattr(sys, "platform", system)
    with pytest.raises(ConfigError, match=f"batch_size_find: got true on {system}"):
        memory.resident()
