"""A real CoreXY's drives: who predicts the return stroke from the forward stroke.

    python benchmarks/servo.py FOLDER

FOLDER holds ``trident_gain550.csv.gz`` and ``trident_gain700.csv.gz``, one stroke of x out and back
at 4 kHz each, measured at the motors; they are not in the repository. Every model is fitted to the
forward stroke alone (``conf/log/trident.yaml``).

The drives close their loop themselves, by an integral among other things: it takes up friction,
which the axis of a printer's config, a mass on a spring, shows as a constant error. The last model
is ``python -m trajerr.calibrate … fit.integral=true``.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hydra.utils import instantiate
from omegaconf import OmegaConf

from trajerr import load_printer
from trajerr.arrays import Floats
from trajerr.calibration.identify import Identified, Unknowns, identify
from trajerr.calibration.stretches import AxisLog, read_axes
from trajerr.dataset.logs import LogFormat
from trajerr.dataset.preparation import PrepareSettings, prepare
from trajerr.dataset.splits import SplitSettings
from trajerr.dataset.store import open_split
from trajerr.models.fir import FirNetwork
from trajerr.shipped import shipped

NAMES = ("trident_gain550.csv.gz", "trident_gain700.csv.gz")
CONF = Path(__file__).resolve().parents[1] / "conf"
TAPS, FIR_RATE_HZ = 40, 1000


def log_format() -> LogFormat:
    """Return how these files are read."""
    log: LogFormat = instantiate(OmegaConf.load(CONF / "log" / "trident.yaml"), _convert_="all")
    return log


def rms_um(error: Floats) -> float:
    """Return µm of mm."""
    return 1e3 * float(np.sqrt(np.mean(error**2)))


def fir_left(path: Path) -> float:
    """Return what 40 taps of v, a and sign(v) leave of the return, µm RMS.

    As ``experiment=emps``: no constant, the ridge chosen on the forward stroke's last sixth.
    """
    settings = PrepareSettings.shipped(
        data_dirs=(str(path),),
        log=log_format(),
        split=SplitSettings.shipped(by="section"),
        sample_rate_hz=FIR_RATE_HZ,
    )
    with TemporaryDirectory() as folder:
        prepare(settings, Path(folder) / "data")
        train, val, test = (
            open_split(Path(folder) / "data", split) for split in ("train", "val", "test")
        )
        network = FirNetwork(TAPS, constant=False)
        names = ("feature_mean", "feature_std", "target_mean", "target_std")
        network.scaling.set_statistics({name: getattr(train.stats, name) for name in names})
        pairs = [[s.pair for s in split.sequences] for split in (train, val, test)]
        network.fit(pairs[0], pairs[1])
        features, target = pairs[2][0]
        left = network(features[None])[0, -len(target) :] - target
        return rms_um(left[:, 0].detach().double().numpy())


def calibrated(log: AxisLog, name: str, *, integral: bool) -> Identified:
    """Return what ``calibrate`` finds on the forward stroke."""
    fit = {key: value for key, value in shipped("calibrate")["fit"].items() if key != "_target_"}
    unknowns = replace(Unknowns(**fit), integral=integral)
    return identify(log, unknowns, load_printer("corexy").only("friction"), "x", name)


def rows(path: Path) -> Iterator[tuple[str, float]]:
    """Yield what each model leaves of the return stroke, µm RMS; print what was found."""
    log = read_axes(path, log_format(), 0.0)["x"]
    yield "nothing", rms_um(log.held_out[0].error)
    yield f"{TAPS} taps of v, a, sign(v)", fir_left(path)
    axis = calibrated(log, path.name, integral=False)
    yield "a mass on a spring", 1e3 * axis.rms(held_out=True)[1]
    drive = calibrated(log, path.name, integral=True)
    yield "a drive with an integral", 1e3 * drive.rms(held_out=True)[1]
    for key, found in drive.estimates.items():
        print(f"  {key} {found.value:.4g}, 95 % {found.low:.4g} to {found.high:.4g}")


def main() -> None:
    """Print a table a file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=Path())
    folder = parser.parse_args().folder
    for name in NAMES:
        if not (folder / name).is_file():
            print(f"{folder / name}: absent, so it is left out")
            continue
        for model, left in rows(folder / name):
            print(f"{name} {model:26} {left:7.1f} µm RMS of the return")


if __name__ == "__main__":
    main()
