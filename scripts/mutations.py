"""Changes of a file by chance, for fuzzing: of bytes, of a table's rows, of JSON.

Knows formats as far as what is changed shall still look like one.
"""

import gzip
import json
import random
from typing import Any

END = b"\x03"  # of a message of the data logger
LONGEST_RUN = 1 << 20  # bytes that a mutation repeats something to
NUMBERS = (
    *("nan", "inf", "-inf", "1e999", "-1", "0", "-0.0", "1e-320", "1e308", "9" * 400, "0x10"),
    *("1_0", "٣", "1,5", "--1", "", "1e", "+", "."),
)
WORDS = {
    "printer_cfg": "[include *.cfg]|[include printer.cfg]|[include ../*]|[include [a]|[printer]|"
    "[]|[|#*# |kinematics: delta|max_accel = |gear_ratio: 0:0|gear_ratio: 1:2:3|%(x)s|${x}|: |="
    "|[DEFAULT]|shaper_type: ei|[extruder]|position_min: 1e9|max_accel_to_decel: 5",
    "m503": "M92 X|M205 J0|M205 X|M593 F|M593 X F-1 D9|G20|echo:|Recv: |; |ok|M204 S|M493 S1"
    "|N1 |*12",
    "accelerometer": "#time,accel_x,accel_y,accel_z|#|,|,,|\t|nan|\ufeff|freq,psd_x,psd_y,psd_z|\0"
    "|'",
}
ODD = (  # in place of a value of JSON
    *(None, True, "", "x", [], {}, [[]], [None], -1, 0, 1e308, -1e308, 1e-320),
    *(float("nan"), float("inf"), 10**400, "nan", [[1.0] * 4] * 3, {"data": 1}),
)

Files = dict[str, bytes]  # by name, relative to a folder


def mutated(files: Files, kind: str, rng: random.Random) -> Files:
    """Return a sample with one of its files changed; the print that was recorded stays."""
    changed = dict(files)
    name = rng.choice([name for name in files if not name.endswith(".gcode")])
    data = changed[name]
    packed = name.endswith(".gz")
    if packed and rng.random() < 0.85:  # else the archive itself is damaged
        plain = gzip.decompress(data)
        is_log = END in plain and rng.random() < 0.8
        plain = new_messages(plain, rng) if is_log else new_text(plain, kind, rng)
        changed[name] = gzip.compress(plain, 1)
    else:
        changed[name] = new_bytes(data, "", rng) if packed else new_text(data, kind, rng)
    return changed


def new_text(data: bytes, kind: str, rng: random.Random) -> bytes:
    """Return a file after changes of its bytes, or of a table's rows."""
    is_table = kind == "accelerometer" and rng.random() < 0.6
    return new_rows(data, rng) if is_table else new_bytes(data, kind, rng)


def new_rows(data: bytes, rng: random.Random) -> bytes:
    """Return a table with other rows that are rows still, so that more than the reader is tried."""
    rows = data.split(b"\n")
    for _ in range(rng.randint(1, 3)):
        begin = rng.randrange(len(rows) + 1)
        end = begin + int(rng.expovariate(1 / rng.choice([1, 100, 10_000])))
        how, piece, cell = rng.randrange(5), rows[begin:end], rng.randrange(1, 4)
        if how == 0:
            rows[begin:end] = []
        elif how == 1:
            rows = piece or rows
        elif how == 2:  # a sensor that stands, is clipped, or is deaf
            rows[begin:end] = [with_cell(row, cell, b"9806.65") for row in piece]
        elif how == 3:
            factor = rng.choice([-1.0, 0.0, 1e-6, 16.0, 1e6])
            rows[begin:end] = [scaled(row, rng.choice([cell, 0]), factor) for row in piece]
        elif piece:
            rows[begin:end] = [with_cell(piece[0], cell, rng.choice([b"1e200", b"-5"])), *piece[1:]]
    return b"\n".join(rows)


def with_cell(row: bytes, at: int, value: bytes) -> bytes:
    """Return a row with another value in one of its cells, where it has that many."""
    cells = row.split(b",")
    return b",".join([*cells[:at], value, *cells[at + 1 :]]) if at < len(cells) else row


def scaled(row: bytes, at: int, factor: float) -> bytes:
    """Return a row with one of its cells times a factor, where that is a number."""
    cells = row.split(b",")
    try:
        return with_cell(row, at, f"{float(cells[at]) * factor:.6f}".encode())
    except (ValueError, IndexError):
        return row


def new_bytes(data: bytes, kind: str, rng: random.Random) -> bytes:
    """Return bytes after one to four changes."""
    for _ in range(rng.randint(1, 4)):
        begin = rng.randrange(len(data) + 1)
        end = min(len(data), begin + int(rng.expovariate(1 / 40)))
        how = rng.randrange(8)
        piece = data[begin:end]
        if how == 0:
            piece = bytes(byte ^ (1 << rng.randrange(8)) for byte in piece[:4]) + piece[4:]
        elif how == 1:
            piece = b""
        elif how == 2:
            piece = piece * min(rng.choice([2, 50, 100_000]), LONGEST_RUN // max(len(piece), 1))
        elif how == 3:
            data, piece = data[:end], data[begin:end]  # cut off
        elif how == 4:
            piece += rng.randbytes(rng.randint(1, 8))
        elif how == 5:
            piece = rng.choice([b" ", b"\n", b"\r", b">", b"[", b",", b"#", b"a:"]) * rng.choice(
                [1, 3, 1000, 300_000]
            )
        elif how == 6 and kind in WORDS:
            piece = rng.choice(WORDS[kind].split("|")).encode() + rng.choice([b"", b"\n", piece])
        else:
            piece = rng.choice(NUMBERS).encode()
        data = data[:begin] + piece + data[end:]
    return data


def new_messages(plain: bytes, rng: random.Random) -> bytes:
    """Return a log with a few messages changed, each still JSON."""
    messages = plain.split(END)
    for _ in range(rng.randint(1, 3)):
        at = rng.choice([0, rng.randrange(len(messages))])
        how = rng.randrange(6)
        if how == 0:
            del messages[at]
        elif how == 1:
            messages[at:at] = [messages[at]] * rng.choice([1, 3])
        elif how == 2:
            depth = rng.choice([100, 5000])
            messages[at] = b'{"q":"trapq:toolhead","params":' + b"[" * depth + b"]" * depth + b"}"
        elif messages[at]:
            try:
                tree = json.loads(messages[at])
            except (ValueError, RecursionError):
                continue  # changed before
            messages[at] = json.dumps(replaced(tree, rng)).encode()
        messages = messages or [b""]
    return END.join(messages)


def replaced(tree: Any, rng: random.Random) -> Any:  # noqa: ANN401 - JSON
    """Return a tree with one of its nodes replaced by something odd."""
    if not isinstance(tree, list | dict) or not tree or rng.random() < 0.12:
        return rng.choice(ODD)
    keys = list(range(len(tree)) if isinstance(tree, list) else tree)
    key = rng.choice(keys)
    if rng.random() < 0.1:
        del tree[key]
    else:
        tree[key] = replaced(tree[key], rng)
    return tree
