"""The house stays readable: no file too long, no room too large."""

from pathlib import Path

import trajerr

HOUSE = Path(trajerr.__file__).parent


def lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_no_file_is_longer_than_400_lines():
    long = {str(path): count for path in HOUSE.rglob("*.py") if (count := lines(path)) > 400}
    assert long == {}


def test_no_room_holds_more_than_15_percent_of_the_lines():
    total = sum(map(lines, HOUSE.rglob("*.py")))
    rooms = [room for room in HOUSE.iterdir() if room.is_dir()]
    shares = {room.name: sum(map(lines, room.rglob("*.py"))) / total for room in rooms}
    assert max(shares.values()) <= 0.15, shares
