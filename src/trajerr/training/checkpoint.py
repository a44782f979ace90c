"""Reading trained networks back: never anything but tensors and plain values."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from trajerr.dataset.tensor_files import read_dict
from trajerr.errors import ConfigError, DataError, in_one_line
from trajerr.models.foreign import is_foreign
from trajerr.models.registry import build_network

BEST = "best.ckpt"
LAST = "last.ckpt"
FOLDER = "checkpoints"
RESULT = "train.json"  # written last, so that a run that has it is finished

NETWORK_PREFIX = "network."
NOT_OURS = (  # what values that train did not write lead to
    ArithmeticError,
    AttributeError,
    ConfigError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)


class ForeignNetworkError(ConfigError):
    """A network of the user's own that is not allowed, or is not there."""


@dataclass(frozen=True)
class Loaded:
    """A trained network and what it was made from."""

    path: Path
    network: nn.Module  # in eval mode, on the CPU
    network_config: Mapping[str, Any]  # what build_network takes
    config: Mapping[str, Any]  # resolved config of the run
    stats: Mapping[str, Any]  # of the prepared data, see trajerr.dataset.stats.Stats.to_dict
    printer: Mapping[str, Any] | None  # None where trained on measured motion
    metrics: Mapping[str, float]  # of the validation split when it was saved
    burn_in: int  # samples of a window that its loss left out
    version: str  # of trajerr that trained it

    @property
    def sample_rate_hz(self) -> float:
        """Sample rate of the data in Hz."""
        return float(self.stats["sample_rate_hz"])

    @property
    def split_identity(self) -> str:
        """Which data was in which split, as a sha256."""
        return str(self.stats["identity"])


def load_checkpoint(path: Path | str, allowed: Collection[str] = ()) -> Loaded:
    """Read a checkpoint that ``train`` wrote.

    Parameters
    ----------
    path
        The file.
    allowed
        Classes of the user's own that its network may be; it cannot allow itself any.

    Raises
    ------
    DataError
        The file is missing, damaged, foreign, or of a network that this version lacks.
    ConfigError
        Its network is of a class that is not allowed or cannot be imported.
    """
    content = read_checkpoint(Path(path))
    try:
        made_from = content["hyper_parameters"]
        network = _network(Path(path), made_from["network"], allowed)
        weights = content["state_dict"]
        network.load_state_dict(
            {
                name.removeprefix(NETWORK_PREFIX): value
                for name, value in weights.items()
                if name.startswith(NETWORK_PREFIX)
            }
        )
        return Loaded(
            path=Path(path),
            network=network.eval(),
            network_config=made_from["network"],
            config=made_from["config"] or {},
            stats=made_from["stats"],
            printer=made_from["printer"],
            metrics=content["trajerr"]["metrics"],
            burn_in=content["trajerr"]["burn_in"],
            version=made_from["version"],
        )
    except ForeignNetworkError:
        raise
    except NOT_OURS as error:
        reason = in_one_line(error)[:200]
        raise DataError(f"{path}: not a checkpoint of this version of trajerr: {reason}") from error


def _network(path: Path, config: Mapping[str, Any], allowed: Collection[str]) -> nn.Module:
    if not is_foreign(config):
        return build_network(config)
    try:
        return build_network(config, allowed)
    except ConfigError as error:
        raise ForeignNetworkError(f"{path}: {error}") from error


def find_best_checkpoint(outputs: Path | str = "outputs") -> Path:
    """Return the best checkpoint of the newest finished training run.

    Parameters
    ----------
    outputs
        Folder that holds ``train/<run>``, ``outputs`` by default.

    Raises
    ------
    DataError
        There is none.
    """
    results = sorted(Path(outputs).glob(f"train/*/{RESULT}"), key=lambda path: path.stat().st_mtime)
    for result in reversed(results):
        best = result.parent / FOLDER / BEST
        if best.is_file():
            return best
    raise DataError(
        f"{outputs}/train: no finished training run; "
        "run python -m trajerr.train, or give checkpoint=FILE"
    )


def read_checkpoint(path: Path) -> Mapping[str, Any]:
    """Read what a checkpoint holds, tensors and plain values only.

    Raises
    ------
    DataError
        The file is missing, damaged or foreign.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such checkpoint")
    return read_dict(path, "a checkpoint")
