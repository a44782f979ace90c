"""From recordings of a print to a bundle of the machine: what each stage's command is told.

Simulation of the calibrated printer brings breadth, the recording the truth. Knows command lines
alone: who runs the stages says where their files go, and how the two networks are trained.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trajerr.commands.quoting import listed, stated

MORE_MOTION = "layers=sampled:10"  # of the embedded parts: more than any recording has
# Calibrated, a printer has no ripple, whose phase is unknown; a network is to know what it does.
ALL_EFFECTS = "printer.effects=[belt,friction,ripple,quantisation,jitter]"
ANY_ERROR = "quality.rms_error_um=[0,10000]"  # the range that is checked is the soft study's
# Recordings are short: what judges is what has chosen the epoch.
ALL_BUT_VALIDATION = ("train_ratio=0.85", "val_ratio=0.15", "test_ratio=0")


@dataclass(frozen=True)
class RecordedMachine:
    """A machine and what was recorded of it; each method returns overrides of one command."""

    name: str  # of the printer that is calibrated
    like: str  # the one that gives what is not measured
    gcode: str  # the print
    sensors: Mapping[str, str]  # files by x, y, reference; those that there are

    def calibrate(self, out: str) -> list[str]:
        """Return what measures the printer; its config goes where configs do."""
        named = [f"name={self.name}", f"printer={self.like}", stated("gcode", self.gcode)]
        return [*named, *self._sensors("accelerometer"), stated("output_dir", out)]

    def collect(self, out: str, motion: Sequence[str] = (MORE_MOTION,)) -> list[str]:
        """Return what simulates it on more motion than was recorded."""
        return [f"printer={self.name}", ALL_EFFECTS, *motion, stated("out", out), ANY_ERROR]

    def prepare(self, out: str) -> list[str]:
        """Return what prepares the recorded layers."""
        print_of = ["log=accelerometer", stated("log.gcode", self.gcode), *self._sensors("log")]
        return [*print_of, f"printer={self.name}", *ALL_BUT_VALIDATION, stated("output_dir", out)]

    def _sensors(self, group: str) -> list[str]:
        return [stated(f"{group}.{key}", file) for key, file in self.sensors.items()]


def collected(folder: str) -> str:
    """Return what tells prepare to take all that collect has written to a folder."""
    return listed("data_dirs", f"{folder}/data_simulation_*")


def judge(checkpoint: str, prepared: str, out: str) -> list[str]:
    """Return what tells evaluate to judge a network on the layers that chose its epoch."""
    judged = [stated("checkpoint", checkpoint), stated("data.root", prepared), "split=val"]
    return [*judged, stated("output_dir", out)]


def export(checkpoint: str, out: str) -> list[str]:
    """Return what tells export to write a bundle."""
    return [stated("checkpoint", checkpoint), stated("output_dir", out)]
