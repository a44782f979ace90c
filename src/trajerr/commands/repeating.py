"""What is this run's own: the command line that repeats it, and its folders."""

import sys
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode


def command_of_this_run(module: str, local_rank: int) -> list[str]:
    """Return a command line for one more process of this run, also where a sweep started it.

    Parameters
    ----------
    module
        Of the command, ``trajerr.train``.
    local_rank
        Of the process; its log has it in its name.
    """
    hydra = HydraConfig.get()
    given = [source for source in hydra.runtime.config_sources if source.provider == "command-line"]
    options = [part for source in given for part in ("--config-dir", source.path)]
    name = [] if hydra.job.config_name is None else ["--config-name", hydra.job.config_name]
    return [
        *(sys.executable, "-m", module, *options, *name),
        *hydra.overrides.task,
        f'hydra.run.dir="{hydra.runtime.output_dir}"',
        f"hydra.job.name={hydra.job.name}_process_{local_rank}",
        "hydra.output_subdir=null",
    ]


def output_of_this_run(key: str, value: str) -> str:
    """Return where a run writes what ``key`` names a folder for, apart from other runs.

    In a multirun that is below the run's own folder or, where the command line names a folder,
    in a subfolder of it by the run's number; in a single run the folder itself.
    """
    hydra = HydraConfig.get()
    if hydra.mode != RunMode.MULTIRUN:
        return value
    if any(override.split("=", 1)[0] == key for override in hydra.overrides.task):
        return str(Path(value) / str(hydra.job.num))
    return str(Path(hydra.runtime.output_dir) / Path(value).name)


def folder_of_this_run() -> Path:
    """Return the folder that this run was started in."""
    return Path(HydraConfig.get().runtime.cwd)
