"""What a person gave on the command line, against what the configs say that it is.

Knows kinds only: whether a switch, a number or a list is one. Ranges are checked by what
takes the values.
"""

from collections.abc import Sequence
from typing import Any, Literal, get_args

from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, ListConfig, OmegaConf

from trajerr.checks import is_number, require

FILES = (  # or null
    *("checkpoint", "pretrained", "resume", "bundle", "data_root", "report_dir"),
    *("printer_cfg", "m503", "test_print", "ringing_tower", "proof_print"),
)
SEVERAL = ("checkpoint",)  # those of which a list may be given
TAKES = {  # key → what it takes, where that is of several kinds
    "layers": ("all, a number, a range or a list", (str, int, ListConfig)),
    "feature_types": ("walls, a name or a list of names", (str, ListConfig)),
    "precision": ("a number of bits or a name", (str, int)),
    "deterministic": ("true, false or warn", (bool, Literal["warn"])),
    "fast_dev_run": ("true, false or a number of batches", (bool, int)),
}
POINTS = ("bed_origin_mm",)  # several numbers, that may be left open
AXES = ("max_velocity_mm_s", "max_acceleration_mm_s2")  # numbers, of which one may be left open
UNITS = ("_hz", "_s", "_ms", "_mm", "_mm_s", "_mm_s2")  # ends of keys that take numbers
FOLDERS = ("out", "output_dir", "root")  # keys without which there is no place to write to


def check_kinds(root: str, cfg: DictConfig) -> None:
    """Refuse overrides of another kind than their key's default.

    Parameters
    ----------
    root
        Name of the command's config.
    cfg
        The composed config, with the overrides.

    Raises
    ------
    ConfigError
        Naming the key, what it got and what it takes.
    """
    hydra = HydraConfig.get()
    given: Any = OmegaConf.to_container(hydra.overrides.task, resolve=False)
    choices = [item for item in given if _key(item) in hydra.runtime.choices]
    keys = [_key(item) for item in given if item not in choices]
    if not keys or not GlobalHydra.instance().is_initialized():  # a launcher's own process
        return
    default = _compose(root, choices)
    for key in keys:
        before = OmegaConf.select(default, key, throw_on_missing=False)
        after = OmegaConf.select(cfg, key, throw_on_missing=False)
        expected = expected_kind(key.rpartition(".")[2], before, after)
        require(key, after, not expected, expected)


def expected_kind(name: str, before: Any, after: Any) -> str:  # noqa: ANN401 - any value
    """Return what kind ``after`` should be of where it is not that of ``before``, else "".

    ``null`` may stand for any number; a single name for a list.
    """
    if name in FILES or (name in FOLDERS and before is None):
        paths = after if isinstance(after, ListConfig) and name in SEVERAL else [after]
        return "" if after is None or all(isinstance(path, str) for path in paths) else "a path"
    if name in FOLDERS and isinstance(before, str):
        return "" if isinstance(after, str) else "a folder, in quotes if its name is a number"
    if name in TAKES and before is not None:
        expected, kinds = TAKES[name]
        return "" if any(_is_of(after, kind) for kind in kinds) else expected
    if before is None and name in POINTS:
        fits = isinstance(after, ListConfig) and all(map(is_number, after))
        return "" if after is None or fits else "a list of numbers"
    if before is None and name.endswith(UNITS):
        return "" if after is None or is_number(after) else "a number"
    if isinstance(before, bool):
        return "" if isinstance(after, bool) else "true or false"
    if isinstance(before, int | float):
        wanted = "a whole number" if isinstance(before, int) else "a number"
        fits = is_number(after) and not (isinstance(before, int) and isinstance(after, float))
        return "" if after is None or fits else wanted
    if isinstance(before, ListConfig) and len(before) and all(map(is_number, before)):
        may_be_open = name in AXES
        fits = isinstance(after, ListConfig) and all(
            is_number(item) or (item is None and may_be_open) for item in after
        )
        return "" if fits else "a list of numbers"
    if isinstance(before, ListConfig):
        return "" if isinstance(after, ListConfig | str) else "a list"
    if isinstance(before, DictConfig):
        return "" if isinstance(after, DictConfig | str) or after is None else "key: value pairs"
    return ""


def _is_of(value: Any, kind: Any) -> bool:  # noqa: ANN401 - a type, or words that are taken
    words = get_args(kind)
    return value in words if words else isinstance(value, kind)


def _key(override: str) -> str:
    return override.partition("=")[0].lstrip("+~").partition("@")[0]


def _compose(root: str, choices: Sequence[str]) -> DictConfig:
    loader = GlobalHydra.instance().config_loader()
    return loader.load_configuration(root, list(choices), run_mode=RunMode.RUN)
