"""G-code whose walls come out where they should: the iteration, and its pieces as text."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
