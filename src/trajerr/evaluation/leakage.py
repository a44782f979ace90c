"""Whether a checkpoint has already seen what it is to be judged on."""

from collections.abc import Iterable, Mapping
from typing import Any

from trajerr.dataset.stats import Source, Stats
from trajerr.errors import DataError
from trajerr.training.transfer import ANCESTORS


def shared_layers(trained: Mapping[str, Any], judged: Iterable[Source]) -> list[str]:
    """Return the layers of ``judged`` that the training split held, sorted, as "part layer".

    A layer counts as seen if training had the same layer of the same part, or of the same
    file under another name, in whatever variant and data set: its geometry is then known.
    So does what a network was trained on before it was transferred to this data.

    Parameters
    ----------
    trained
        The checkpoint's ``Stats`` as plain containers.
    judged
        Sources of the split to evaluate.
    """
    held = (*trained.get("sources", ()), *trained.get(ANCESTORS, ()))
    seen = [s for s in held if s["split"] == "train"]
    files = {(s["sha256"], s["layer"]) for s in seen}
    layers = {(s["part"], s["layer"]) for s in seen}
    shared = {
        (s.part, s.layer)
        for s in judged
        if (s.sha256, s.layer) in files or (s.part, s.layer) in layers
    }
    return [f"{part} {layer}" for part, layer in sorted(shared)]


def refuse_overlap(
    trained: Mapping[str, Any], stats: Stats, split: str, *, allow: bool
) -> list[str]:
    """Return the shared layers if they are allowed, none if there are none.

    Raises
    ------
    DataError
        Layers are shared and ``allow`` is false.
    """
    shared = shared_layers(trained, [s for s in stats.sources if s.split == split])
    if shared and not allow:
        shown = ", ".join(shared[:4]) + (", …" if len(shared) > 4 else "")
        raise DataError(
            f"split {split} shares {len(shared)} layers with the checkpoint's training data "
            f"({shown}); expected unseen layers. Choose another split or data.root, or say "
            "allow_overlap=true, which the report will state"
        )
    return shared
