"""From a checkpoint to a bundle: graphs, and the proof that they compute the same."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
