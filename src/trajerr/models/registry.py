"""Networks by name: the only way from a config or a checkpoint to a network."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from trajerr.checks import require_count, require_one_of
from trajerr.errors import ConfigError
from trajerr.models.fir import FirNetwork
from trajerr.models.hybrid import HybridNetwork
from trajerr.models.lstm import LstmNetwork
from trajerr.models.physics import PhysicsNetwork
from trajerr.models.transformer import TransformerRecurrent

Neural = TransformerRecurrent | LstmNetwork | HybridNetwork
Network = Neural | FirNetwork | PhysicsNetwork

NETWORKS: Mapping[str, type[Network]] = {
    "base": TransformerRecurrent,
    "small": TransformerRecurrent,
    "large": TransformerRecurrent,
    "lstm": LstmNetwork,
    "fir": FirNetwork,
    "physics": PhysicsNetwork,
    "hybrid": HybridNetwork,
}


def build_network(config: Mapping[str, Any]) -> Network:
    """Build a network from plain values.

    Parameters
    ----------
    config
        ``name`` of :data:`NETWORKS`, and the arguments of that network.

    Raises
    ------
    ConfigError
        The name is unknown, or an argument is missing, unknown, out of range or of a wrong
        type.
    """
    arguments = {key: value for key, value in config.items() if key != "name"}
    name = str(config.get("name"))
    require_one_of("model.name", name, NETWORKS)
    _require_sizes(arguments)
    try:
        return NETWORKS[name](**arguments)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"model {name}: {error}") from error


def _require_sizes(arguments: Mapping[str, Any]) -> None:
    """Refuse whole numbers below one, but for layers, of which an encoder can do without."""
    for key, value in arguments.items():
        if isinstance(value, int) and not isinstance(value, bool):
            require_count(f"model.{key}", value, at_least=0 if key == "num_layers" else 1)


def count_parameters(network: nn.Module) -> int:
    """Return how many numbers training can change."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)
