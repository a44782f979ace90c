"""One layer's motion in memory: what the `.mat` files, logs and splits hold."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class LayerRecord:
    """Commanded and actual motion of one layer in one variant, uniformly sampled; N rows.

    The first ``context`` rows are the lead-in: motion before the layer, which brings a network
    into the state that the print leaves behind. No metric, loss or statistic counts it.
    """

    part: str  # what was printed: the file's stem or the embedded part's name
    layer: int  # 1 is the first layer
    variant: str  # one setting of acceleration and speed scale, e.g. "a2.0_v1.0"
    sample_rate: float  # Hz
    time: NDArray[np.float64]  # (N,) s
    commanded: NDArray[np.float64]  # (N, 3) mm
    actual: NDArray[np.float64]  # (N, 2) mm
    extruding: NDArray[np.bool_]  # (N,)
    travel: NDArray[np.bool_]  # (N,)
    feature: NDArray[np.uint8]  # (N,) FeatureType
    temperatures: NDArray[np.float64] | None  # (N, 3) T_nozzle T_interface T_surface, °C
    adhesion: NDArray[np.float64] | None  # (N,) 0..1
    params: Mapping[str, str | float]  # printer, seed, source file and sha256, versions
    stated_speed: NDArray[np.float64] | None = None  # (N,) mm/s, v_mag_ref of a file that has it
    context: int = 0  # rows of lead-in; 0 where nothing before the layer is known

    @property
    def error(self) -> NDArray[np.float64]:
        """(N, 2) mm, actual − commanded at equal times."""
        return self.actual - self.commanded[:, :2]

    def select(self, rows: slice | NDArray[np.bool_] | NDArray[np.integer]) -> Self:
        """Return the chosen rows of every column, in their order."""
        columns = {f.name: getattr(self, f.name) for f in fields(self)}
        chosen: dict[str, Any] = {
            name: column[rows] for name, column in columns.items() if isinstance(column, np.ndarray)
        }
        kept = int(np.count_nonzero((np.arange(len(self.time)) < self.context)[rows]))
        return replace(self, **chosen, context=kept)

    def without_context(self) -> Self:
        """Return the layer alone, the rows that count."""
        return self.select(slice(self.context, None))


UNCERTAINTY = ("uncertainty_x_mm", "uncertainty_y_mm")  # in params of recorded layers: RMS
EXCITATION = "excitation_hz"  # in params: up to which frequency the print excited its machine


def stated_printer(params: Mapping[str, str | float]) -> dict[str, Any] | None:
    """Return the simulated printer that ``params`` name, as plain containers.

    ``None`` for measured motion, and for files of others, whose ``printer`` may be any text.
    """
    try:
        plain = json.loads(str(params.get("printer")))
    except (ValueError, RecursionError):  # no JSON, or brackets without end
        return None
    return plain if isinstance(plain, dict) else None
