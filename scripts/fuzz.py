"""Feed a reader with broken files until something gives: G-code, containers, layers, checkpoints.

    pip install atheris                        # beside trajerr, outside .venv if you like
    python scripts/fuzz.py gcode CORPUS [-max_total_time=300 …]
    python scripts/fuzz.py mat CORPUS [-max_total_time=300 …]
    python scripts/fuzz.py container CORPUS …    # .bgcode, .3mf, .gz; checksums are mended first
    python scripts/fuzz.py checkpoint CORPUS …   # the stream of opcodes in a file of torch's

CORPUS is a folder that libFuzzer reads and fills; an empty one gets a few files to begin with.
What it finds, an input that neither is read to finite numbers nor refused by a TrajerrError of
one line within three seconds, it leaves as ``crash-*``: keep it as a case in
``tests/gcode/test_hostile_gcode.py``, ``tests/gcode/containers``,
``tests/dataset/test_hostile_mat.py`` or ``tests/dataset/test_tensor_files.py``.
"""

import gzip
import io
import struct
import sys
import tempfile
import time
import warnings
import zipfile
import zlib
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["trajerr", "scipy.io.matlab"]):
    import numpy as np
    import scipy.io
    import torch

    from trajerr.dataset.matlab import read_layer, write_layer
    from trajerr.dataset.record import LayerRecord
    from trajerr.dataset.repair import FaultSettings, repair
    from trajerr.dataset.tensor_files import read_dict
    from trajerr.errors import TrajerrError
    from trajerr.gcode.containers import bgcode, kinds
    from trajerr.gcode.parts import PARTS, part_text
    from trajerr.gcode.reader import parse_program
    from trajerr.motion.features import compute_features
    from trajerr.motion.limits import MachineLimits
    from trajerr.motion.planner import plan
    from trajerr.motion.sampling import sample

SLOW_S = 3.0
MACHINES = [
    MachineLimits(
        [300, 300, 15, 120],
        [4000, 4000, 300, 10000],
        print_acceleration_mm_s2=500,
        travel_acceleration_mm_s2=500,
        retract_acceleration_mm_s2=1000,
        firmware=firmware,
    )
    for firmware in ("marlin", "marlin_junction_deviation", "klipper")
]
FOLDER = Path(tempfile.mkdtemp())
LAYER = FOLDER / "layer0001_fuzzed.mat"
CHECKPOINT = FOLDER / "fuzzed.ckpt"
STREAM = "data.pkl"  # in a file of torch's
BLOCKS = Path(__file__).resolve().parents[1] / "tests" / "containers"


def read_gcode(data: bytes) -> None:
    """Read, plan as each firmware does, and sample what does not take long to print."""
    program = parse_program(data, "fuzzed.gcode")
    for name in ("start", "end", "sweep", "feedrate", "pause"):
        require_finite(getattr(program.moves, name), name)
    for limits in MACHINES:
        planned = plan(program, limits)
        for name in ("start_time", "duration", "entry", "cruise", "exit", "acceleration"):
            require_finite(getattr(planned, name), name)
        if planned.print_time < 100.0:
            require_finite(sample(planned, 200.0).position, "position")


def read_mat(data: bytes) -> None:
    """Read a layer, mend it, and compute its features."""
    LAYER.write_bytes(data)
    record = read_layer(LAYER)
    for rate in (None, 200.0):
        for piece in repair(record, FaultSettings.shipped(), sample_rate=rate).pieces:
            require_finite(piece.actual, "actual")
            require_finite(compute_features(piece.commanded, piece.sample_rate), "features")


def read_container(data: bytes) -> None:
    """Unpack a container, and pack its text again."""
    container, text = kinds.unpack(mended(data), "fuzzed")
    kinds.packed(container, text, "fuzzed")


def mended(data: bytes) -> bytes:
    """Return binary G-code with checksums that fit, so that what they guard is reached."""
    if not data.startswith(bgcode.MAGIC):
        return data
    out, at = bytearray(data[:10]), 10
    while at + 8 <= len(data):
        kind, compression, size = struct.unpack_from("<HHI", data, at)
        head = 12 if compression else 8
        if compression and at + 12 <= len(data):
            (size,) = struct.unpack_from("<I", data, at + 8)
        end = at + head + (6 if kind == 5 else 2) + size
        out += data[at:end] + struct.pack("<I", zlib.crc32(data[at:end]))
        at = end + 4
    return bytes(out)


def read_checkpoint(data: bytes) -> None:
    """Read a file of torch's whose stream of opcodes is this."""
    with zipfile.ZipFile(io.BytesIO(saved())) as old, zipfile.ZipFile(CHECKPOINT, "w") as new:
        for name in old.namelist():
            new.writestr(name, data if name.endswith(STREAM) else old.read(name))
    for mapped in (False, True):
        read_dict(CHECKPOINT, "a checkpoint", mapped=mapped)


def saved() -> bytes:
    """Return what torch writes of a small dict."""
    file = io.BytesIO()
    torch.save({"weights": torch.ones(2, 3), "epoch": 3, "names": ["x", None]}, file)
    return file.getvalue()


def require_finite(values: np.ndarray, name: str) -> None:
    """Raise where a value is not a number."""
    if not np.isfinite(values).all():
        raise ValueError(f"{name} is not finite")


def gcode_seeds() -> list[bytes]:
    """Return pieces of the embedded parts, and lines that they do not have."""
    texts = [part_text(name).splitlines(keepends=True) for name in PARTS]
    pieces = [b"".join(t[at : at + 60]) for t in texts for at in (0, len(t) // 2, len(t) - 60)]
    arcs = b"G1 X10 Y10 E1 F1200\nG2 X20 Y20 I5 J5 E2\nG3 X0 Y0 R20 P3\nG91\nG20\nG92 X0\nG28\n"
    limits = b"M204 P500 T800\nM205 X8 J.01\nSET_VELOCITY_LIMIT ACCEL=3000\nG4 P100\nG1 X5 E.2\n"
    return [*pieces, arcs, limits]


def mat_seeds() -> list[bytes]:
    """Return a small layer as trajerr writes it, and as others may."""
    n = 20
    xy = np.cumsum(np.ones((n, 2)), axis=0)
    flags = np.zeros(n, bool)
    columns = (np.column_stack([xy, np.ones(n)]), xy + 0.1, ~flags, flags, flags.astype(np.uint8))
    record = LayerRecord("p", 1, "v", 200.0, np.arange(n) / 200.0, *columns, None, None, {})
    write_layer(LAYER, record)
    ours = LAYER.read_bytes()
    struct = scipy.io.loadmat(io.BytesIO(ours))["simulation_data"]
    packed = io.BytesIO()
    scipy.io.savemat(packed, {"simulation_data": struct}, do_compression=True)
    return [ours, packed.getvalue()]


def container_seeds() -> list[bytes]:
    """Return small containers of each kind."""
    text = b"G1 X10 Y10 E1 F1200\n;TYPE:External perimeter\nG1 X20 E2\n" * 5
    plate = io.BytesIO()
    with zipfile.ZipFile(plate, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("Metadata/plate_1.gcode", text)
        file.writestr("Metadata/plate_1.gcode.md5", "ab" * 16)
    binary = [path.read_bytes() for path in sorted(BLOCKS.glob("cube_*_2.bgcode"))]
    return [*binary, plate.getvalue(), gzip.compress(text)]


def checkpoint_seeds() -> list[bytes]:
    """Return the stream that torch writes."""
    with zipfile.ZipFile(io.BytesIO(saved())) as file:
        return [file.read(name) for name in file.namelist() if name.endswith(STREAM)]


def main() -> None:
    """Fuzz one of the readers."""
    readers = {
        "gcode": (read_gcode, gcode_seeds),
        "mat": (read_mat, mat_seeds),
        "container": (read_container, container_seeds),
        "checkpoint": (read_checkpoint, checkpoint_seeds),
    }
    if len(sys.argv) < 3 or sys.argv[1] not in readers:
        sys.exit(__doc__)
    warnings.simplefilter("error")
    read, seeds = readers[sys.argv[1]]
    corpus = Path(sys.argv[2])
    corpus.mkdir(parents=True, exist_ok=True)
    if not any(corpus.iterdir()):
        for number, seed in enumerate(seeds()):
            (corpus / f"seed{number}").write_bytes(seed)

    def once(data: bytes) -> None:
        began = time.monotonic()
        try:
            read(data)
        except TrajerrError as error:
            if "\n" in str(error):
                raise ValueError(f"more than a line: {error!r}") from error
        if time.monotonic() - began > SLOW_S:
            raise TimeoutError(f"took {time.monotonic() - began:.1f} s")

    options = ["-timeout=10", "-rss_limit_mb=4000", "-max_len=12000", *sys.argv[3:]]
    atheris.Setup([sys.argv[0], *options, str(corpus)], once)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
