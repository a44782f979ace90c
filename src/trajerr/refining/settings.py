"""How a network is refined, and what its rounds brought; no torch."""

from dataclasses import dataclass

from trajerr.errors import ConfigError


@dataclass(frozen=True)
class RefineSettings:
    """How to refine.

    Raises
    ------
    ConfigError
        If a value is out of range; the message names the key.
    """

    rounds: int = 2  # at most; 0: not at all
    checkpoint: str | None = None  # None: the newest finished training
    outputs: str = "outputs"  # where that is looked for
    data_root: str | None = None  # the prepared folder that it was trained on
    layers: int = 6  # corrected and simulated each round, evenly spread
    agreement_um: float = 1.0  # predicted and simulated error as close as that end it
    steps: int = 300  # of training a round
    batch: int = 32  # windows a step
    window: int = 256  # samples
    lr: float = 1e-3  # of AdamW at its begin; it falls to 0 along a cosine
    replay: float = 0.5  # share of windows from the data that the network was trained on
    seed: int = 0

    def __post_init__(self) -> None:
        for key in ("rounds", "layers", "steps", "batch"):
            least = 0 if key == "rounds" else 1
            if getattr(self, key) < least:
                got = getattr(self, key)
                raise ConfigError(f"refine {key}: got {got}, expected {least} or more")
        if self.window < 64:
            raise ConfigError(f"refine window: got {self.window}, expected 64 samples or more")
        if not 0.0 <= self.replay < 1.0:
            raise ConfigError(f"refine replay: got {self.replay}, expected 0 or more, below 1")
        if not 0.0 < self.lr < 1.0:
            raise ConfigError(f"refine lr: got {self.lr}, expected above 0, below 1")


@dataclass(frozen=True)
class Round:
    """What one correction promised and what the simulated printer made of it."""

    number: int  # 0 is the network as it came
    predicted_um: float  # contour RMS on walls as the network predicts it
    simulated_um: float  # and as simulated
    uncorrected_um: float  # simulated, without correction
    loss: float | None  # at the end of the training before, if there was one
