"""MeatPack against a second reading, one character after the other as firmware does it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trajerr.gcode.containers.meatpack import decode, encode

TABLE = dict(enumerate("0123456789. \nGX"))
COMMANDS = {251: "packed", 250: "plain", 249: "plain", 247: "no_blanks", 246: "blanks"}


def read_as_firmware(stream: bytes) -> bytes:
    """Characters in the order of MeatPack's reader in firmware, nothing done to their lines."""
    packed = no_blanks = False
    text, waiting, late, at = bytearray(), 0, None, 0
    while at < len(stream):
        if stream[at : at + 2] == b"\xff\xff" and at + 2 < len(stream):
            command = COMMANDS.get(stream[at + 2])
            packed = {"packed": True, "plain": False}.get(command, packed)
            no_blanks = {"no_blanks": True, "blanks": False}.get(command, no_blanks)
            at += 3
            continue
        byte = stream[at]
        at += 1
        if not packed:
            text.append(byte)
        elif waiting:
            text.append(byte)
            waiting -= 1
            if late is not None:
                text.append(late)
                late = None
        else:
            low, high = (
                ord("E" if no_blanks and n == 11 else TABLE[n]) if n < 15 else None
                for n in (byte & 15, byte >> 4)
            )
            if low is None:
                waiting, late = (1, high) if high is not None else (2, None)
            else:
                text.append(low)
                if low != 10:
                    if high is None:
                        waiting = 1
                    else:
                        text.append(high)
    return bytes(text)


WORDS = st.tuples(
    st.sampled_from("XYZEFIJRSP"), st.decimals(-300, 300, places=3).map(lambda d: f"{d:f}")
).map("".join)
MOVES = st.lists(WORDS, min_size=1, max_size=6).map(lambda words: " ".join(["G1", *words]))
OTHERS = st.sampled_from(
    ["M104 S215", "M117 Würfel 50 %", ";TYPE:External perimeter", "; x", "T0", "G28 W", "EXCLUDE X"]
)
TEXTS = st.lists(MOVES | OTHERS, min_size=1, max_size=40).map(lambda lines: "\n".join([*lines, ""]))


@given(TEXTS)
@settings(max_examples=150, deadline=None)
def test_lines_come_back(text: str) -> None:
    assert decode(encode(text.encode())) == text.encode()


def test_a_text_is_shorter_than_what_makes_libbgcode_lose_a_character() -> None:
    """Its reader's memory is twice the stream's length, and grows in a wrong way."""
    for line in (b"G1 X10 Y10 E10\n", b"G1 X90.834 Y91.345 E.01179\n", b"G0 X1\n", b"; x\n"):
        text = line * 2000
        stream = encode(text)
        assert len(text) < 2 * len(stream)
        assert decode(stream) == text


@given(TEXTS)
@settings(max_examples=150, deadline=None)
def test_firmware_reads_the_same_but_for_blanks(text: str) -> None:
    seen = read_as_firmware(encode(text.encode()))
    assert seen.replace(b" ", b"") == text.encode().replace(b" ", b"")


def pair(byte: int, literals: tuple[int, int]) -> bytes:
    """A byte for two characters, and the whole ones that it announces."""
    low, high = byte & 15 == 15, byte >> 4 == 15 and byte & 15 != 12
    return bytes([byte, *literals[: low + high]])


LITERAL = st.integers(0, 254)
PAIRS = st.lists(st.builds(pair, st.integers(0, 255), st.tuples(LITERAL, LITERAL)), max_size=60)
BLANKS = b" \n"  # which readers of files put in and leave out


@given(PAIRS, st.booleans())
@settings(max_examples=300, deadline=None)
def test_any_stream_is_read_as_firmware_reads_it(pairs: list[bytes], no_blanks: bool) -> None:
    mode = b"\xff\xff\xfb" + (b"\xff\xff\xf7" if no_blanks else b"")
    stream = mode + b"".join(pairs) + b"\xff\xff\xfa; as it is\n"
    seen, expected = decode(stream), read_as_firmware(stream)
    assert seen.translate(None, BLANKS) == expected.translate(None, BLANKS)


@pytest.mark.parametrize(
    ("text", "stream"),
    [
        (b"G1\n", "fffffbfffff7 1d cc"),
        (b"G1 X2 E3\n", "fffffbfffff7 1d 2e 3b cc"),
        (b"M84\n", "fffffbfffff7 8f 4d c4"),
    ],
)
def test_streams_worked_out_by_hand(text: bytes, stream: str) -> None:
    assert encode(text) == bytes.fromhex(stream)
