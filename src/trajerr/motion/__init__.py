"""Moves to a time-stamped commanded trajectory, as firmware plans it; knows no mechanics."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
