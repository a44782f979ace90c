"""The LightningModule, its data and its callbacks; knows how to train, not what the physics is."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
