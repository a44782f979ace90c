"""How a network is refined, and what its rounds brought; no torch."""

from dataclasses import dataclass
from typing import Any, Self

from trajerr.checks import require, require_count
from trajerr.shipped import fields_of, shipped


@dataclass(frozen=True)
class RefineSettings:
    """How to refine.

    Raises
    ------
    ConfigError
        If a value is out of range; the message names the key.
    """

    rounds: int  # at most; 0: not at all
    checkpoint: str | None  # None: the newest finished training
    outputs: str  # where that is looked for
    data_root: str | None  # the prepared folder that it was trained on
    layers: int  # corrected and simulated each round, evenly spread
    agreement_um: float  # predicted and simulated error as close as that end it
    steps: int  # of training a round
    batch: int  # windows a step
    window: int  # samples
    lr: float  # of AdamW at its begin; it falls to 0 along a cosine
    replay: float  # share of windows from the data that the network was trained on
    seed: int = 0

    def __post_init__(self) -> None:
        for key in ("rounds", "layers", "steps", "batch"):
            require_count(f"refine.{key}", getattr(self, key), at_least=0 if key == "rounds" else 1)
        require_count("refine.window", self.window, at_least=64)
        require("refine.replay", self.replay, 0.0 <= self.replay < 1.0, "0 or more, below 1")
        require("refine.lr", self.lr, 0.0 < self.lr < 1.0, "above 0, below 1")

    @classmethod
    def shipped(cls, **changes: Any) -> Self:  # noqa: ANN401 - of any field
        """Return what ``conf/correct.yaml`` says, which is not to refine, with changes."""
        return cls(**{**fields_of(cls, shipped("correct")["refine"]), **changes})


@dataclass(frozen=True)
class Round:
    """What one correction promised and what the simulated printer made of it."""

    number: int  # 0 is the network as it came
    predicted_um: float  # contour RMS on walls as the network predicts it
    simulated_um: float  # and as simulated
    uncorrected_um: float  # simulated, without correction
    loss: float | None  # at the end of the training before, if there was one
