"""Learn, predict and compensate the trajectory error of a 3D printer.

What users may rely on stands in ``__init__.pyi`` of this package and of its rooms, and is
imported when it is first used; all else may change.
"""

import os

import lazy_loader

from trajerr.interrupt import end_imports_at_once, module_being_started

if module_being_started().partition(".")[0] == __name__:  # python -m trajerr.COMMAND
    end_imports_at_once()
    # OpenMP reads this once, when torch loads it. Threads that spin while they wait cost a
    # recurrent network seven times its own processor time on a machine that is busy otherwise.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
