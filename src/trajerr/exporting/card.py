"""The model card of a bundle: what was learnt from what, how well, and where it ends.

Form: Mitchell et al., *Model Cards for Model Reporting* (FAT* 2019).
"""

from collections.abc import Mapping
from typing import Any

from trajerr.dataset.cards import origin
from trajerr.dataset.stats import Stats
from trajerr.motion.features import FEATURES

_USE = """\
## Use

To predict the tracking error of this machine from G-code, and to correct G-code for it
(`trajerr-post`, `python -m trajerr.correct`). Not for other machines: `correct` refuses them by the
identity above. Not for safety: a corrected file is checked against the original line by line, and
still has to be looked at as any file is.
"""
_LIMITS = """\
## Limits

- It knows the range of motion that it was trained on; beyond it errors grow unnoticed.
- It knows nothing of what the command does not say: belts that age, heat, loads, collisions.
- A change of belts, motors, input shaper or firmware is another machine: record and train anew.
"""


def model_card(manifest: Mapping[str, Any]) -> str:
    """Return a bundle's card as Markdown.

    Parameters
    ----------
    manifest
        What ``bundle.json`` is to say.
    """
    stats = Stats.from_dict(manifest["stats"])
    return "\n".join(
        [
            _model(manifest),
            _machine(manifest),
            _data(stats),
            _metrics(manifest),
            _USE,
            _LIMITS,
            _origin(manifest),
        ]
    )


def _model(manifest: Mapping[str, Any]) -> str:
    model = manifest["model"]
    return (
        f"# Model card: {model['name']}\n\n"
        f"A causal network ({model.get('architecture', model.get('_target_'))}, "
        f"{model['parameters']:,} parameters) that predicts a 3D printer's tracking error in x and "
        f"y from {len(FEATURES)} features of commanded motion, {manifest['sample_rate_hz']:g} "
        f"times a second, with {manifest['context_length']} samples of context.\n"
    )


def _machine(manifest: Mapping[str, Any]) -> str:
    machine, printer = manifest["machine"], manifest["printer"]
    known = [f"identity `{machine['identity']}`"] if machine["identity"] else []
    known += [f"recordings {', '.join(machine['recordings'])}"] if machine["recordings"] else []
    named = f"Printer `{machine['name']}`" if machine["name"] else "A machine without a config"
    if printer is not None:
        firmware = printer["limits"]["firmware"]
        known.append(f"kinematics {printer['kinematics']}, planned as {firmware}")
    return f"## Machine\n\n{', '.join([named, *known])}.\n"


def _data(stats: Stats) -> str:
    parts = sorted({source.part for source in stats.sources if source.split})
    train = stats.splits["train"]
    speed, acceleration = FEATURES.index("v_mag"), FEATURES.index("a_mag")
    return (
        "## Data\n\n"
        f"{origin(stats)} Trained on {train.layers} layers ({train.points:,} samples) of "
        f"{', '.join(parts)}, error {1e3 * train.error_rms_mm:.0f} µm RMS.\n"
        f"Speeds there: {_spread(stats, speed)} mm/s; accelerations: "
        f"{_spread(stats, acceleration)} mm/s² (mean ± standard deviation).\n"
        f"Identity of the split: `{stats.identity}`.\n"
    )


def _spread(stats: Stats, column: int) -> str:
    return f"{stats.feature_mean[column]:.0f} ± {stats.feature_std[column]:.0f}"


def _metrics(manifest: Mapping[str, Any]) -> str:
    rows = "".join(
        f"| {name.removeprefix('val/')} | {_told(name, value)} |\n"
        for name, value in sorted(manifest["metrics"].items())
    )
    return (
        "## Metrics\n\n"
        "Of the validation split when the checkpoint was saved. That split chose the epoch, so\n"
        "`evaluate` on the test split is the number to quote.\n\n"
        f"| metric | value |\n|---|---|\n{rows}"
    )


def _told(name: str, value: float | None) -> str:
    if value is None:
        return "none"
    return f"{1e3 * value:.2f} µm" if name.endswith("_mm") else f"{value:.4f}"


def _origin(manifest: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in manifest["versions"].items())
    worst = max(manifest["parity"]["max_difference_mm"].values())
    return (
        "## Origin\n\n"
        f"Checkpoint `{manifest['checkpoint']['sha256']}`. The exported graphs differ from the "
        f"network by at most {1e6 * worst:.3f} nm.\n"
        f"{versions}.\n"
    )
