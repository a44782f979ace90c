"""What the first reading passes over is harmless to the second: else it would refuse in vain."""

import pytest

from trajerr.gcode.effects import PASSED, WAITING
from trajerr.verification.interpreter import Machine


@pytest.mark.parametrize("name", sorted(PASSED | WAITING))
def test_the_second_reading_passes_what_the_first_passes(name: str) -> None:
    machine = Machine("klipper")
    machine.run(b"G1 X1 Y2 Z3")
    machine.run(name.encode())
    assert machine.is_known()
    assert machine.position == [1.0, 2.0, 3.0]
