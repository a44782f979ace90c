"""From measurements of a machine to its printer config; knows no learning.

Accelerometer recordings give natural frequency and damping, logs of commanded and measured
position friction and delay as well. Knows the axis equation of :mod:`trajerr.dynamics`; does
not know networks or bundles.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
