"""Text of a G-code file to moves and back; knows no physics and no limits of its own."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
