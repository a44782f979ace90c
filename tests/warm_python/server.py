"""The warm Python: imports once, and forks for each command that a relay asks for.

It has one thread, which makes forking safe, and ends with the last of its lessees.
"""

import ast
import atexit
import builtins
import gc
import importlib
import multiprocessing.process
import os
import random
import runpy
import select
import signal
import socket
import struct
import sys
import tempfile
import threading
import types
from dataclasses import dataclass
from pathlib import Path

FIRST_LEASE_S = 60.0
READ_AT_IMPORT = ("PYTHON", "MPL", "NUMBA_")  # how variables begin
# What commands import. Not ONNX Runtime, which starts a thread; nor trajerr, which starts anew.
LIBRARIES = (
    "filelock",
    "h5py",
    "hydra._internal.hydra",
    "lightning.pytorch",
    "matplotlib.pyplot",
    "numba",
    "onnx",
    "onnxscript",
    "optuna",
    "rich.console",
    "scipy.io",
    "scipy.optimize",
    "scipy.signal",
    "torch._dynamo",
    "torch.onnx",
    "torch.utils.tensorboard",
    "torchmetrics",
)


@dataclass(frozen=True)
class Request:
    """What a process has to be: its command line without Python's name, and where it runs."""

    arguments: list[str]
    folder: str
    environment: dict[str, str]


def serve(listener: socket.socket) -> Request:
    """Serve until nobody holds a lease; return in each forked process what it has to be."""
    leases: list[socket.socket] = []
    while True:
        patience = None if leases else FIRST_LEASE_S
        ready, _, _ = select.select([listener, *leases], [], [], patience)
        leases = [lease for lease in leases if lease not in ready]
        if listener not in ready:
            if leases:
                continue
            sys.exit()
        connection, _ = listener.accept()
        header, streams, _, _ = socket.recv_fds(connection, 8, 3)
        if not is_own(connection):
            continue
        if not streams:
            leases.append(connection)
        elif os.fork() == 0:
            listener.close()
            for lease in leases:
                lease.close()
            return keep(connection, int.from_bytes(header, "big"), streams)
        for stream in streams:
            os.close(stream)
        reap()


def is_own(connection: socket.socket) -> bool:
    """Whether the same user asks."""
    size = struct.calcsize("3i")
    peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    return struct.unpack("3i", peer)[1] == os.getuid()


def reap() -> None:
    """Take note of keepers that have ended."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def keep(relay: socket.socket, length: int, streams: list[int]) -> Request:
    """Fork once more and return there; here, tell process and relay of each other and end."""
    text = relay.recv(length, socket.MSG_WAITALL)
    if len(text) < length:
        os._exit(1)
    process = os.fork()
    if process == 0:
        relay.close()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        return Request(*ast.literal_eval(text.decode("utf-8", "surrogateescape")))
    for stream in streams:
        os.close(stream)
    ended = os.pidfd_open(process)
    while ended not in select.select([relay, ended], [], [])[0]:
        for number in relay.recv(64) or [signal.SIGKILL]:  # nothing: the relay is gone
            os.kill(process, number)
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    try:
        relay.sendall(code.to_bytes(8, "big", signed=True))
    finally:
        os._exit(0)


def become(request: Request, begun_with: dict[str, str]) -> None:
    """Have this process begin as a new one would that has imported the libraries."""
    import numpy as np
    import torch

    differing = {
        name
        for name in {*request.environment, *begun_with}
        if name.startswith(READ_AT_IMPORT) and request.environment.get(name) != begun_with.get(name)
    }
    if differing:
        sys.exit(f"the warm Python has read other values of {sorted(differing)}: start a cold one")
    os.chdir(request.folder)
    set_by_libraries = {name: os.environ[name] for name in os.environ.keys() - begun_with.keys()}
    os.environ.clear()
    os.environ.update(set_by_libraries | request.environment)
    importlib.invalidate_caches()
    multiprocessing.process.ORIGINAL_DIR = request.folder
    tempfile.tempdir = None
    random.seed()
    np.random.seed()  # noqa: NPY002 - the state that all share
    torch.seed()


def run(arguments: list[str]) -> None:
    """Run ``-m MODULE …``, ``-c CODE …`` or ``SCRIPT …`` as Python does."""
    main = types.ModuleType("__main__")
    vars(main)["__builtins__"] = builtins
    sys.modules["__main__"] = sys.modules["__mp_main__"] = main  # so multiprocessing calls it
    sys.orig_argv = [sys.executable, *arguments]
    first, *rest = arguments
    if first == "-m":
        sys.argv, sys.path[0] = ["-m", *rest[1:]], str(Path.cwd())
        runpy._run_module_as_main(rest[0])  # type: ignore[attr-defined]
    elif first == "-c":
        sys.argv, sys.path[0] = ["-c", *rest[1:]], ""
        exec(compile(rest[0], "<string>", "exec"), vars(main))  # noqa: S102 - as Python would
    else:
        sys.argv, sys.path[0] = arguments, str(Path(first).parent)
        vars(main)["__file__"] = first
        exec(compile(Path(first).read_bytes(), first, "exec"), vars(main))  # noqa: S102


def run_to_the_end(arguments: list[str]) -> None:
    """Run, and end as Python does, save that nothing is taken apart: that would take longest."""
    code: object = 0
    try:
        run(arguments)
    except SystemExit as ended:
        code = ended.code or 0
        if not isinstance(code, int):
            sys.stderr.write(f"{code}\n")
            code = 1
    except BaseException as error:  # noqa: BLE001 - as Python would
        sys.excepthook(type(error), error, error.__traceback__)
        code = 1
        if isinstance(error, KeyboardInterrupt):
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            signal.raise_signal(signal.SIGINT)
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


def threads() -> int:
    return len(list(Path("/proc/self/task").iterdir()))


if __name__ == "__main__":
    with socket.socket(socket.AF_UNIX) as own:
        try:
            own.bind(f"\0{sys.argv[1]}")
        except OSError:  # another worker has been quicker
            sys.exit()
        own.listen(64)
        environment = dict(os.environ)
        gc.disable()
        for library in LIBRARIES:
            importlib.import_module(library)
        if threads() != 1:
            sys.exit("the warm Python has threads: what imports starts one?")
        gc.freeze()
        gc.enable()
        request = serve(own)
    become(request, environment)
    run_to_the_end(request.arguments)
