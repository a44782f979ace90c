"""What predicts errors for a correction: a bundle's network, or the simulated printer."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from trajerr.arrays import Floats, Ints
from trajerr.bundle.runtime import Predictor
from trajerr.dataset.record import EXCITATION
from trajerr.dynamics.plant import simulate
from trajerr.dynamics.printer import Printer
from trajerr.motion.trajectory import Trajectory

PART = 8000  # samples of a long window that are predicted at a time: most layers whole
TOGETHER = 1 << 14  # samples of all that are predicted at a time: what caches hold
SETTLED = 2  # context lengths after which a part is predicted as the whole is, to a nanometre
BAND_HZ = 60.0  # of motion as slicers write it, and of corrections like those among the data
EXCITED = 0.9  # of the frequency up to which the recorded print was excited
SAMPLES_A_PERIOD = 4.0  # at least, of a frequency at which a network is trusted
TWIN_RATE_HZ = 2000.0  # at least; the printer is simulated at a multiple of the sample rate


class ErrorModel(Protocol):
    """Predicts the tracking error of commanded trajectories that begin at rest."""

    @property
    def band_hz(self) -> float:
        """Up to which frequency of the command its answers are known, Hz."""
        ...

    @property
    def sample_rate_hz(self) -> float:
        """Samples per second that the features must have."""
        ...

    def errors(self, features: Floats) -> Floats:
        """Return the (B, T, 2) error in mm for (B, T, 15) features of B trajectories."""
        ...


def known_hz(stats: Mapping[str, Any]) -> float:
    """Return up to which frequency of the command a network's answers are known, Hz.

    Parameters
    ----------
    stats
        Of the data that it learned from, as ``stats.json`` has them.
    """
    excited = stats.get("params", {}).get(EXCITATION)
    return BAND_HZ if excited is None else told_by(float(excited), stats["sample_rate_hz"])


def told_by(excitation_hz: float, sample_rate_hz: float) -> float:
    """Return up to which frequency, Hz, samples of a print tell how its machine answers.

    Parameters
    ----------
    excitation_hz
        Up to which the print excited it.
    sample_rate_hz
        Of the samples, of which a period has four or more.
    """
    return max(BAND_HZ, min(EXCITED * excitation_hz, sample_rate_hz / SAMPLES_A_PERIOD))


class Predicts(Protocol):
    """A bundle at work, as :class:`trajerr.bundle.runtime.Predictor` is one."""

    @property
    def sample_rate_hz(self) -> float:
        """Samples per second that features have to have."""
        ...

    @property
    def context_length(self) -> int:
        """Samples after which a prediction has settled."""
        ...

    def predict(self, features: Floats) -> dict[str, NDArray[np.float32]]:
        """Return ``error_x`` and ``error_y`` in mm of (B, T, 15) features."""
        ...


@dataclass(frozen=True)
class NetworkModel:
    """A bundle's network as an error model."""

    predictor: Predicts
    band_hz: float = BAND_HZ

    @classmethod
    def of(cls, predictor: Predictor) -> Self:
        """Return a bundle's network, trusted as far as its data tells."""
        return cls(predictor, known_hz(predictor.bundle.manifest["stats"]))

    @property
    def sample_rate_hz(self) -> float:
        """Samples per second that the features must have."""
        return self.predictor.sample_rate_hz

    def errors(self, features: Floats) -> Floats:
        """Return the (B, T, 2) error in mm for (B, T, 15) features of B trajectories."""
        count, length = features.shape[:2]
        context = SETTLED * self.predictor.context_length
        begins = np.minimum(np.arange(0, length, PART), max(0, length - PART - context))
        begins = np.unique(begins)
        result = np.empty((count, length, 2))
        for row in range(count):
            errors = self._parts(features[row], begins, min(length, PART + context))
            for begin, error in zip(begins.tolist(), errors, strict=True):
                settled = context if begin else 0
                result[row, begin + settled : begin + len(error)] = error[settled:]
        return result

    def _parts(self, features: Floats, begins: Ints, length: int) -> Floats:
        """Return the (P, length, 2) error of parts of (T, 15) features, each as from rest."""
        lots = np.array_split(begins, max(1, len(begins) * length // TOGETHER))
        errors = [self._predicted(features[lot[:, None] + np.arange(length)]) for lot in lots]
        return np.concatenate(errors)

    def _predicted(self, features: Floats) -> Floats:
        predicted = self.predictor.predict(features)
        return np.stack([predicted["error_x"], predicted["error_y"]], axis=-1)


@dataclass(frozen=True)
class TwinModel:
    """The simulated printer as an error model, without what is random.

    Between samples the command runs straight, as it does in what is written.
    """

    printer: Printer
    sample_rate_hz: float = 200.0
    threads: int = 2
    least_rate_hz: float = TWIN_RATE_HZ
    band_hz: float = BAND_HZ  # as far as it is like the machine

    def errors(self, features: Floats) -> Floats:
        """Return the (B, T, 2) error in mm for (B, T, 15) features of B trajectories."""
        commanded = features[..., :2]
        with ThreadPoolExecutor(self.threads) as pool:
            fine = np.stack(list(pool.map(self.motion, commanded)))
        return np.asarray(fine[:, :: self.times] - commanded)

    @property
    def times(self) -> int:
        """How many steps are simulated a sample."""
        return int(np.ceil(self.least_rate_hz / self.sample_rate_hz))

    def motion(self, commanded: Floats) -> Floats:
        """Return where the nozzle goes on a fine grid, from rest.

        Parameters
        ----------
        commanded : (T, 2)
            mm, at the sample rate.

        Returns
        -------
        ((T − 1) · times + 1, 2)
            mm.
        """
        times = self.times
        share = np.arange(times, dtype=np.float64)[:, None] / times
        begin, end = commanded[:-1, None], commanded[1:, None]
        fine = (begin + (end - begin) * share).reshape(-1, 2)
        xy = np.concatenate([fine, commanded[-1:]])
        trajectory = Trajectory.of_positions(xy, self.sample_rate_hz * times)
        return simulate(self.printer.without("jitter"), trajectory, seed=0).xy
