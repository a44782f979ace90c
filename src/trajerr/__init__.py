"""Learn, predict and compensate the trajectory error of a 3D printer."""

import os

from trajerr.interrupt import end_imports_at_once, module_being_started

if module_being_started().partition(".")[0] == __name__:
    end_imports_at_once()

from importlib.metadata import version  # after the above, as it takes longer

# OpenMP reads this once, when torch loads it. Threads that spin while they wait cost a
# recurrent network seven times its own processor time on a machine that is busy otherwise.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = version("trajerr")
