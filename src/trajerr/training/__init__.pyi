from .checkpoint import Loaded as Loaded
from .checkpoint import find_best_checkpoint as find_best_checkpoint
from .checkpoint import load_checkpoint as load_checkpoint
from .datamodule import PrinterDataModule as PrinterDataModule
from .eager import TrajectoryErrorModel as TrajectoryErrorModel
from .run import Outcome as Outcome
from .run import train as train
from .task import TrajectoryTask as TrajectoryTask
