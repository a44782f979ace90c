"""How far a command is, read out of what it says: a share, a remaining time, a curve of loss."""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trajerr.workbench.work import RUNS, State, Work, output_since

EPOCH = re.compile(
    r"^Epoch (?P<epoch>\d+)(?:/(?P<of>\d+))?(?:  (?P<part>\d+)/(?P<parts>\d+) batches)?", re.M
)
LOSS = re.compile(r"^  ▶ (?P<split>Train|Val) +Loss: (?P<loss>\d+\.\d+)", re.M)
COMMAND = re.compile(r"^(?=\$ python -m trajerr\.)", re.M)
STAGE = re.compile(
    r"^  (?P<stage>[a-z][a-z ]*): (?P<done>\d+) of (?P<total>\d+) (?P<of>layers|files)$", re.M
)
STAGES = {  # of commands that tell of them, in order; each takes about as long as the others
    "correct": ("path", "moves"),
    "collect": ("simulated",),
}
LEAST_SHARE = 0.02  # of a step, from which on what is left of it can be told


@dataclass(frozen=True)
class Progress:
    """How far the step under way is."""

    share: float | None  # of the step; None where it does not say
    remaining_s: float | None
    detail: str  # for people; "" where there is nothing to say
    losses: dict[str, list[float]]  # split → an epoch's loss each

    def to_dict(self) -> dict[str, Any]:
        """Return plain containers."""
        return {
            "share": self.share,
            "remaining_s": self.remaining_s,
            "detail": self.detail,
            "losses": self.losses,
        }


def progress(folder: Path, work: Work, state: State) -> Progress:
    """Return how far a piece of work is in its present step, and what it has learnt so far."""
    losses = _losses(_of_training(output_since(folder), work, state))
    if state.name != RUNS:
        return Progress(None, None, "", losses)
    said, module = output_since(folder, state.offset), work.steps[state.step].module
    share, detail = _training(said) if module == "train" else _staged(said, STAGES.get(module, ()))
    return Progress(share, _remaining(share, time.time() - state.step_began), detail, losses)


def _of_training(said: str, work: Work, state: State) -> str:
    """Return what the last training that was begun has said, each time that it ran."""
    begun = [step for step in work.steps[: state.step + 1] if step.module == "train"]
    runs = COMMAND.split(said)
    return "".join(run for run in runs if begun and run.startswith(f"$ {begun[-1].line}\n"))


def _training(said: str) -> tuple[float | None, str]:
    seen = list(EPOCH.finditer(said))
    if not seen:
        return None, "reading the data"
    last = seen[-1]
    epoch, whole = int(last["epoch"]), last["of"]
    ended = said.find("▶ Train", last.end()) >= 0
    within = int(last["part"]) / int(last["parts"]) if last["part"] else float(ended)
    share = (epoch - 1 + within) / int(whole) if whole else None
    return share, f"epoch {epoch}{f' of {whole}' if whole else ''}"


def _staged(said: str, stages: Sequence[str]) -> tuple[float | None, str]:
    seen = [found for found in STAGE.finditer(said) if found["stage"] in stages]
    if not seen:
        return None, ""
    last = seen[-1]
    done, total = int(last["done"]), int(last["total"])
    share = (stages.index(last["stage"]) + done / max(total, 1)) / len(stages)
    return share, f"{last['of'].removesuffix('s')} {done} of {total}, {last['stage']}"


def _losses(said: str) -> dict[str, list[float]]:
    """Return the loss of each epoch; a resumed training goes on where it was."""
    found: dict[str, dict[int, float]] = {"train": {}, "val": {}}
    epochs = [(match.end(), int(match["epoch"])) for match in EPOCH.finditer(said)]
    for loss in LOSS.finditer(said):
        epoch = max((e for e in epochs if e[0] <= loss.start()), default=(0, 0))[1]
        found[loss["split"].lower()][epoch] = float(loss["loss"])
    return {split: [by[k] for k in sorted(by)] for split, by in found.items() if by}


def _remaining(share: float | None, passed_s: float) -> float | None:
    if share is None or share < LEAST_SHARE:
        return None
    return passed_s * (1.0 - share) / share
