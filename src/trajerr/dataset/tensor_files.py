"""Reading files of tensors and plain values, whatever bytes they hold.

Knows nothing of what is in them. Nothing but tensors and plain values is ever unpickled.
"""

import pickle
import struct
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch

from trajerr.errors import DataError

# What torch's restricted unpickler lets through of a stream that nobody wrote: it runs the
# stream's opcodes on a stack and a memo that are not what they expect.
_BROKEN_STREAM = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    RuntimeError,
    TypeError,
    UserWarning,
    ValueError,
    pickle.PickleError,
    struct.error,
    zipfile.BadZipFile,
)


def read_dict(path: Path, what: str, *, mapped: bool = False) -> dict[Any, Any]:
    """Read a dict of tensors and plain values as ``torch.save`` writes it.

    Parameters
    ----------
    path
        The file.
    what
        It should be, for messages: "a checkpoint".
    mapped
        Whether tensors are views of the file, in place of copies.

    Raises
    ------
    DataError
        The file is damaged, foreign, or holds more than tensors and plain values.
    """
    # torch's own words would advise to load the file unsafely
    refusal = f"{path}: not {what}: damaged, or holding more than tensors and plain values"
    try:
        if not zipfile.is_zipfile(path):  # what torch has written since 1.6
            raise DataError(refusal)
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # torch doubts that it wrote the file
            content = torch.load(path, map_location="cpu", mmap=mapped, weights_only=True)
    except _BROKEN_STREAM as error:
        raise DataError(refusal) from error
    if not isinstance(content, dict):
        raise DataError(
            f"{path}: holds a {type(content).__name__}, expected a dict, as {what} is one"
        )
    return content
