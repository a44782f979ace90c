"""ONNX Runtime's sessions: threads and providers as asked for, faults as ours."""

from collections.abc import Sequence
from pathlib import Path

import onnxruntime

from trajerr.errors import BundleError, ConfigError

CPU = ("CPUExecutionProvider",)


def check_session(threads: int, providers: Sequence[str]) -> None:
    """Refuse what no session can be opened with.

    Raises
    ------
    ConfigError
        This machine has no such provider, or ``threads`` is below 1.
    """
    if threads < 1:
        raise ConfigError(f"threads: got {threads}, expected 1 or more")
    available = onnxruntime.get_available_providers()
    unknown = [name for name in providers if name not in available]
    if unknown or not providers:
        raise ConfigError(
            f"providers: got {', '.join(unknown) or 'none'}, expected some of "
            f"{', '.join(available)}"
        )


def open_session(
    path: Path, threads: int, providers: Sequence[str]
) -> onnxruntime.InferenceSession:
    """Open a graph.

    Raises
    ------
    BundleError
        ONNX Runtime cannot load it.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=list(providers))
    except Exception as error:
        reason = " ".join(str(error).split())
        raise BundleError(f"{path}: ONNX Runtime cannot load it: {reason}") from error
