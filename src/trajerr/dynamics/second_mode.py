"""A second mode of an axis: what prints is a mass of its own, on a mount that yields."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Self

from trajerr.checks import require, require_number

WHERE = "printer axis second_mode"
LARGEST_SHARE = 0.9


@dataclass(frozen=True)
class SecondMode:
    """The tool on its carriage: a spring and a damper between two masses, N/m and N·s/m.

    Frequency and damping ratio are those of the tool while its carriage is held:
    ``ω = √(k₂/m₂)``, ``ζ = c₂ / (2 √(k₂ m₂))``. The axis' mass is of both together.

    Raises
    ------
    ConfigError
        If a value is out of range; the message names the key.
    """

    frequency_hz: float
    damping_ratio: float
    mass_share: float  # m₂ / (m₁ + m₂)

    def __post_init__(self) -> None:
        for f in fields(self):
            require_number(f"{WHERE}.{f.name}", getattr(self, f.name))
        frequency, damping, share = self.frequency_hz, self.damping_ratio, self.mass_share
        require(f"{WHERE}.frequency_hz", frequency, 0.0 < frequency < math.inf, "above 0")
        require(f"{WHERE}.damping_ratio", damping, 0.0 <= damping < 1.0, "0 to below 1")
        wanted = f"above 0, at most {LARGEST_SHARE}"
        require(f"{WHERE}.mass_share", share, 0.0 < share <= LARGEST_SHARE, wanted)

    @classmethod
    def read(cls, values: object) -> Self | None:
        """Return what a config says: None, a second mode, or a mapping of its keys.

        Raises
        ------
        ConfigError
            If a key is unknown or missing, or a value is out of range.
        """
        if values is None or isinstance(values, cls):
            return values
        names = [f.name for f in fields(cls)]
        plain = {} if not isinstance(values, Mapping) else dict(values)
        wanted = f"null or a mapping of {', '.join(names)}"
        require(WHERE, values, sorted(plain) == sorted(names), wanted)
        return cls(**plain)

    def scaled(self, stiffness: float) -> Self:
        """Return it with its stiffness multiplied; damping in N·s/m stays."""
        root = math.sqrt(stiffness)
        return type(self)(self.frequency_hz * root, self.damping_ratio / root, self.mass_share)

    def constants(self) -> tuple[float, float]:
        """Return stiffness and damping over the tool's mass, k₂/m₂ in 1/s², c₂/m₂ in 1/s."""
        omega = 2.0 * math.pi * self.frequency_hz
        return omega**2, 2.0 * self.damping_ratio * omega
