"""ONNX Runtime's sessions: threads and providers as asked for, faults as ours."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnxruntime

from trajerr.checks import require, require_count, require_one_of, require_some_of
from trajerr.errors import BundleError, in_one_line
from trajerr.motion.features import TARGETS

CPU = ("CPUExecutionProvider",)
GPUS = ("CUDAExecutionProvider", "ROCMExecutionProvider", "DmlExecutionProvider")


ACCELERATORS = ("auto", "cpu", "gpu")


def providers_of(accelerator: str) -> list[str]:
    """Return ONNX Runtime's execution providers of an accelerator, the best first.

    Parameters
    ----------
    accelerator
        ``cpu``; ``gpu``, whatever else ONNX Runtime was built with here; ``auto``, that where
        there is one.

    Raises
    ------
    ConfigError
        It is unknown, or ONNX Runtime has none here.
    """
    require_one_of("accelerator", accelerator, ACCELERATORS)
    gpus = [name for name in onnxruntime.get_available_providers() if name in GPUS]
    expected = f"cpu or auto: ONNX Runtime has none of {', '.join(GPUS)} here"
    require("accelerator", accelerator, accelerator != "gpu" or bool(gpus), expected)
    return list(CPU) if accelerator == "cpu" else [*gpus, *CPU]


def check_session(threads: int, providers: Sequence[str]) -> None:
    """Refuse what no session can be opened with.

    Raises
    ------
    ConfigError
        This machine has no such provider, or ``threads`` is below 1.
    """
    require_count("threads", threads)
    require_some_of("providers", providers, onnxruntime.get_available_providers())


def open_session(
    path: Path, threads: int, providers: Sequence[str], first: str = "input_features"
) -> onnxruntime.InferenceSession:
    """Open a graph whose first input and first outputs have our names.

    Raises
    ------
    BundleError
        ONNX Runtime cannot load it, or it is some other graph.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=list(providers))
    except Exception as error:
        reason = in_one_line(error)
        raise BundleError(f"{path}: ONNX Runtime cannot load it: {reason}") from error
    names = [*_names(session.get_inputs())[:1], *_names(session.get_outputs())[:2]]
    if names != [first, *TARGETS]:
        raise BundleError(
            f"{path}: begins with {', '.join(names)}, expected {', '.join((first, *TARGETS))}; "
            "another graph stands in its place"
        )
    return session


def _names(nodes: Sequence[Any]) -> list[str]:
    return [node.name for node in nodes]
