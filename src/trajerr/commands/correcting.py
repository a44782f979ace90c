"""A correction from a config, as the command and the slicers' script run it. Knows no Hydra."""

from collections.abc import Mapping
from typing import Any

from trajerr.commands.building import build, pick
from trajerr.correction.pieces import EmissionSettings
from trajerr.correction.run import CorrectionRun
from trajerr.correction.settings import CorrectionSettings, feature_numbers


def correction_run(config: Mapping[str, Any], rounds: int) -> CorrectionRun:
    """Return the correction that keys of ``conf/correct.yaml`` describe.

    Parameters
    ----------
    config
        Plain containers and values.
    rounds
        Of refinement before.

    Raises
    ------
    ConfigError
        If a key is missing, unknown or out of range; the message names it.
    """
    settings = pick(
        CorrectionSettings,
        config,
        feature_types=feature_numbers(config["feature_types"]),
        layers=None,
        learning=build(config["learning"], "learning", threads=config["threads"]),
        emission=pick(EmissionSettings, config),
    )
    return pick(CorrectionRun, config, rounds=rounds, settings=settings)
