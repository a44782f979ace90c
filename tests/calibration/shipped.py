"""What ``conf/calibrate.yaml`` asks for."""

from tests.shipped import as_shipped
from trajerr.calibration.identify import Unknowns
from trajerr.calibration.resonance import Sweep
from trajerr.calibration.run import Accelerometer

SWEEP = as_shipped(Sweep, "calibrate", "accelerometer", "sweep")
ABSENT = as_shipped(Accelerometer, "calibrate", "accelerometer")  # no file of either axis
UNKNOWNS = as_shipped(Unknowns, "calibrate", "fit")
