"""Klipper's data logger, written anew: two files of messages that end with byte 3."""

import json
import zlib
from pathlib import Path


class Writer:
    """One of its two files; what is written can be read on from any flush."""

    def __init__(self, path: Path):
        self.path, self.packed = path, b""
        self.packer = zlib.compressobj(6, zlib.DEFLATED, 31)

    def add(self, message: dict) -> None:
        self.packed += self.packer.compress(json.dumps(message).encode() + b"\x03")

    def flush(self) -> int:
        self.packed += self.packer.flush(zlib.Z_FULL_FLUSH)
        return len(self.packed)

    def close(self) -> None:
        self.path.write_bytes(self.packed + self.packer.flush(zlib.Z_FINISH))


def write_log(
    stem: Path, dumps: dict[str, list[list]], settings: dict, offsets: dict | None = None
) -> Path:
    """Write a log of dumps by subscription, in messages of 100 rows, and return its main file."""
    log, index = Writer(Path(f"{stem}.json.gz")), Writer(Path(f"{stem}.index.gz"))
    log.add({"id": "info", "result": {"state": "ready"}})
    status = {"configfile": {"settings": settings}, "toolhead": {"estimated_print_time": 1.0}}
    held = {name: {"header": []} for name in dumps}
    index.add({"status": status, "subscriptions": held, "file_position": log.flush()})
    pending = {name: list(rows) for name, rows in dumps.items()}
    while any(pending.values()):
        for name, rows in pending.items():
            if rows:
                extra = {} if offsets is None or name not in offsets else offsets[name]
                log.add({"q": name, "params": {"data": rows[:100], **extra}})
                del rows[:100]
        log.add({"q": "status", "params": {"eventtime": 2.0, "status": {}}})
        index.add({"status": {}, "file_position": log.flush()})
    log.close()
    index.close()
    return log.path
