"""The command line that does what this run does, for further processes of the same run."""

import sys
from pathlib import Path

from hydra.core.hydra_config import HydraConfig


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


def folder_of_this_run() -> Path:
    """Return the folder that this run was started in."""
    return Path(HydraConfig.get().runtime.cwd)
