from .accelerometer import Recording as Recording
from .accelerometer import read_recording as read_recording
from .alignment import Aligned as Aligned
from .alignment import Sensors as Sensors
from .alignment import align as align
