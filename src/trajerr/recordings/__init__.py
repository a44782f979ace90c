"""What an accelerometer, or firmware's data logger, recorded while a machine executed a plan.

Knows sensors, their clocks, how they are mounted, and the error of the motion that they show
together with a printer's simulation. Does not know networks, splits, or how printers are fitted.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
