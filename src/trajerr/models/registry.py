"""Networks by their architecture: the only way from a config or a checkpoint to a network."""

from collections.abc import Collection, Mapping
from typing import Any

from torch import nn

from trajerr.checks import require_count, require_known
from trajerr.errors import ConfigError
from trajerr.models.fir import FirNetwork
from trajerr.models.foreign import TARGET, is_foreign, make, parameters, require_allowed, targets
from trajerr.models.foreign import find as find_class
from trajerr.models.hybrid import HybridNetwork
from trajerr.models.lstm import LstmNetwork
from trajerr.models.physics import PhysicsNetwork
from trajerr.models.transformer import TransformerRecurrent
from trajerr.models.wrapped import WrappedNetwork

Neural = TransformerRecurrent | LstmNetwork | HybridNetwork
Network = Neural | FirNetwork | PhysicsNetwork | WrappedNetwork

ARCHITECTURES: Mapping[str, type[Neural | FirNetwork | PhysicsNetwork]] = {
    "transformer": TransformerRecurrent,
    "lstm": LstmNetwork,
    "fir": FirNetwork,
    "physics": PhysicsNetwork,
    "hybrid": HybridNetwork,
}
# What the shipped configs are named, which chose the network where none says its architecture.
NETWORKS: Mapping[str, type[Neural | FirNetwork | PhysicsNetwork]] = {
    "base": TransformerRecurrent,
    "small": TransformerRecurrent,
    "large": TransformerRecurrent,
    "lstm": LstmNetwork,
    "fir": FirNetwork,
    "physics": PhysicsNetwork,
    "hybrid": HybridNetwork,
}
LABELS = ("name", "architecture")  # not arguments of a network
CONTEXT = "context_length"


def build_network(config: Mapping[str, Any], allowed: Collection[str] = ()) -> Network:
    """Build a network from plain values.

    Parameters
    ----------
    config
        ``architecture`` of :data:`ARCHITECTURES`, or ``_target_``, a class of the user's own,
        and the arguments of that network. ``name`` is a label; without an architecture it is
        one of :data:`NETWORKS`, as in earlier versions.
    allowed
        What ``_target_`` may be.

    Raises
    ------
    ConfigError
        The architecture is unknown, or an argument is missing, unknown, out of range or of a
        wrong type.
    """
    arguments = {key: value for key, value in config.items() if key not in LABELS}
    if is_foreign(config):
        return _build_foreign(arguments, allowed)
    kind = _kind(config)
    require_known("model", arguments, parameters(kind) or ())
    _require_sizes(arguments)
    try:
        return kind(**arguments)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"model {config.get('name')}: {error}") from error


def architecture(config: Mapping[str, Any]) -> str:
    """Return what chooses a config's network: its architecture, or a class by its dotted name."""
    if is_foreign(config):
        return str(config[TARGET])
    kind = _kind(config)
    return next(name for name, known in ARCHITECTURES.items() if known is kind)


def same_network(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two configs build the same network, whatever it is called."""
    first, second = ({k: v for k, v in c.items() if k not in LABELS} for c in (one, other))
    return first == second and architecture(one) == architecture(other)


def named_classes(config: Mapping[str, Any]) -> frozenset[str]:
    """Return the classes that a config names, to be allowed where the config is trusted."""
    return frozenset(targets(config))


def _kind(config: Mapping[str, Any]) -> type[Neural | FirNetwork | PhysicsNetwork]:
    chosen = config.get("architecture")
    if chosen is None:
        name = str(config.get("name"))
        if name not in NETWORKS:
            known = ", ".join([*ARCHITECTURES, *(n for n in NETWORKS if n not in ARCHITECTURES)])
            raise ConfigError(f"model.architecture: got null for {name!r}, expected one of {known}")
        return NETWORKS[name]
    if chosen not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise ConfigError(f"model.architecture: got {chosen}, expected one of {known}")
    return ARCHITECTURES[chosen]


def _build_foreign(arguments: Mapping[str, Any], allowed: Collection[str]) -> WrappedNetwork:
    require_allowed("model", arguments, allowed)
    taken = parameters(find_class(f"model.{TARGET}", str(arguments[TARGET])))
    own = {k: v for k, v in arguments.items() if k != CONTEXT or taken is None or k in taken}
    inner = make("model", own)
    if not isinstance(inner, nn.Module):
        raise ConfigError(f"model: got a {type(inner).__name__}, expected a torch.nn.Module")
    context = arguments.get(CONTEXT, getattr(inner, CONTEXT, None))
    require_count(f"model.{CONTEXT}", context)
    return WrappedNetwork(inner, int(context))


def _require_sizes(arguments: Mapping[str, Any]) -> None:
    """Refuse whole numbers below one, but for layers, of which an encoder can do without."""
    for key, value in arguments.items():
        if isinstance(value, int) and not isinstance(value, bool):
            require_count(f"model.{key}", value, at_least=0 if key == "num_layers" else 1)


def count_parameters(network: nn.Module) -> int:
    """Return how many numbers training can change."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)
