from .run import Accelerometer as Accelerometer
from .run import CalibrationRun as CalibrationRun
