"""Learn, predict and compensate the trajectory error of a 3D printer."""

from importlib.metadata import version

__version__ = version("trajerr")
