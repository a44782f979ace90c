"""Klipper's files, and spectra taken as Klipper takes them."""

import gzip

import numpy as np
import pytest

from trajerr.calibration.recordings import klipper_spectrum, read_spectrum
from trajerr.errors import DataError

# What Klipper's own _psd and calc_freq_response (shaper_calibrate.py, commit 034cb67) give
# for `signal()`: frequency Hz and density at some bins.
KLIPPER = {
    3: (4.689925341796876, 0.06936121597760116),
    13: (20.323009814453126, 0.09185736229632026),
    26: (40.64601962890625, 157434.6647140561),
    40: (62.532337890625, 0.07495158030329371),
    199: (311.0983810058594, 543.1942841454428),
    700: (1094.3159130859376, 0.11982790511995374),
}
RAW = "#time,accel_x,accel_y,accel_z"
SPECTRUM = "freq,psd_x,psd_y,psd_z,psd_xyz"


def signal():
    """(N,) s and mm/s²: a sweep, a tone, something like noise, and gravity."""
    time = np.arange(9001) / 3201.3
    swept = 1000.0 * np.sin(2.0 * np.pi * 40.0 * time + 3.0 * time**2)
    tone = 50.0 * np.cos(2.0 * np.pi * 311.0 * time)
    return time, swept + tone + 20.0 * np.sin(1e5 * time**3) + 9.8e3


def write(path, time, columns, header=RAW, fmt="%.6f"):
    table = np.column_stack([time, columns])
    np.savetxt(path, table, delimiter=",", header=header, comments="", fmt=fmt)
    return path


def test_the_spectrum_is_klippers():
    time, acceleration = signal()
    found = klipper_spectrum(time, np.column_stack([acceleration, 0.0 * time, 2.0 * acceleration]))
    assert len(found.frequency) == 1025
    for row, (frequency, density) in KLIPPER.items():
        assert found.frequency[row] == pytest.approx(frequency, rel=1e-12)
        np.testing.assert_allclose(found.density[row], [density, 0.0, 4.0 * density], rtol=1e-9)


def test_a_raw_file_is_read(tmp_path):
    time, acceleration = signal()
    columns = np.column_stack([acceleration, 0.0 * time, 2.0 * acceleration])
    found = read_spectrum(write(tmp_path / "raw data ü.csv", time + 1e4, columns))
    direct = klipper_spectrum(time, columns)
    assert found.step == pytest.approx(direct.step, rel=1e-6)
    np.testing.assert_allclose(found.density[26], direct.density[26], rtol=1e-3)


def packed(content):
    return gzip.compress(content)


def commented(content):
    """Comments as people and forks add them, before and among the rows."""
    head, *rows = content.splitlines()
    lines = [
        b"# machine: mine",
        b"#time of day,12:00",
        b"",
        head,
        b"# begin",
        *rows[:50],
        b"# mark",
    ]
    return b"\n".join([*lines, b"", *rows[50:], b"", b"   ", b"# end", b""])


DIALECTS = {
    "comments": commented,
    "CRLF": lambda content: content.replace(b"\n", b"\r\n"),
    "gzip": packed,
    "BOM": lambda content: b"\xef\xbb\xbf" + content,
    "spaces": lambda content: content.replace(b"#", b"# ").replace(b",", b", "),
    "header uncommented": lambda content: content.replace(b"#", b""),
    "no header": lambda content: content.partition(b"\n")[2],
    "no header, comments": lambda content: b"# a,b\n" + content.partition(b"\n")[2],
    "further columns": lambda content: content.replace(b"\n", b",7\n").replace(b"z,7", b"z,t", 1),
    "lines after the end": lambda content: content + b"\r\n\n\n",
}


@pytest.mark.parametrize("name", DIALECTS)
def test_raw_data_in_other_dialects_reads_the_same(tmp_path, name):
    time, acceleration = signal()
    columns = np.column_stack([acceleration, 0.0 * time, 2.0 * acceleration])
    plain = write(tmp_path / "plain.csv", time, columns)
    (tmp_path / "other.csv").write_bytes(DIALECTS[name](plain.read_bytes()))
    np.testing.assert_array_equal(
        read_spectrum(tmp_path / "other.csv").density, read_spectrum(plain).density
    )


def spectrum_rows(more=""):
    frequency = np.arange(0.0, 200.0, 1.6)
    return "".join(
        f"{f:.1f},{3e4 + f:.3e},2.000e+02,1.000e+02,3.030e+04{more}\n" for f in frequency
    )


HEADERS = {  # columns after psd_xyz: what writes them, its cells, and whether it has normalised
    "Klipper 0.9": ("", "", False),
    "Klipper 0.9, shapers": (",zv(46.0),mzv(47.6)", ",0.100,0.200", True),
    "Klipper, shapers": (",shapers:,zv(46.0),mzv(47.6)", ",,0.100,0.200", True),
    "Klipper, one shaper": (",shapers:,ei(52.4)", ",,0.100", True),
    "Kalico": (",accel_per_hz", ",60.0", False),
    "Kalico, shapers": (",accel_per_hz,zv(46.0),ei(52.4)", ",60.0,0.100,0.200", True),
}


@pytest.mark.parametrize("name", HEADERS)
@pytest.mark.parametrize("before", ["", "# made by hand\n#\n\n"])
def test_spectra_of_every_version_are_read(tmp_path, name, before):
    names, cells, normalised = HEADERS[name]
    path = tmp_path / "a.csv"
    path.write_text(f"{before}{SPECTRUM}{names}\n{spectrum_rows(cells)}\n\n")
    found = read_spectrum(path)
    assert len(found.frequency) == 125
    assert found.timing is None
    row = 50  # 80 Hz, above what Klipper suppresses
    expected = np.array([30080.0, 200.0, 100.0]) * (80.1 if normalised else 1.0)
    np.testing.assert_allclose(found.density[row], expected, rtol=1e-3)


@pytest.mark.parametrize("shapers", ["", ",shapers:,zv(46.0),mzv(47.6)"])
def test_a_processed_file_means_the_same_as_its_raw_data(tmp_path, shapers):
    """Files that name shapers hold densities that Klipper has divided by frequency already."""
    time, acceleration = signal()
    made = klipper_spectrum(time, np.column_stack([acceleration, 0.5 * acceleration, 0.0 * time]))
    inside = made.frequency < 200.0
    frequency, density = made.frequency[inside], made.density[inside].copy()
    if shapers:
        factor = 1.0 / (frequency + 0.1)
        low = frequency < 10.0
        factor[low] *= np.exp(1.0 - (10.0 / (frequency[low] + 0.1)) ** 2)
        density *= factor[:, None]
    table = np.column_stack([density, density.sum(axis=1)] + ([density] if shapers else []))
    header = f"freq,psd_x,psd_y,psd_z,psd_xyz{shapers}"
    found = read_spectrum(write(tmp_path / "a.csv", frequency, table, header, "%.9e"))
    above = frequency > 5.0
    np.testing.assert_allclose(found.density[above], made.density[inside][above], rtol=1e-6)
    np.testing.assert_allclose(found.normalised[above], made.normalised[inside][above], rtol=1e-6)


def ticks(count=8000, rate=3200.0):
    return np.arange(count) / rate


def random_rows():
    rows = np.random.default_rng(0).normal(size=(1000, 4))
    return b"\n" + "\n".join(",".join(f"{cell:.6f}" for cell in row) for row in rows).encode()


BAD = {
    "empty": (lambda path: path.write_text(""), "is empty"),
    "binary": (lambda path: path.write_bytes(bytes(range(256)) * 9), "not a text file"),
    "columns": (lambda path: path.write_text("a,b\n1,2\n"), r"starts with 'a,b', expected"),
    "comments only": (lambda path: path.write_text("# a\n#\n"), "is empty"),
    "three numbers a row": (lambda path: path.write_text("1,2,3\n" * 9), "starts with '1,2,3'"),
    "a gyroscope": (
        lambda path: path.write_text("#time,gyro_x,gyro_y,gyro_z\n" + "1,2,3,4\n" * 9),
        "starts with 'time,gyro_x,gyro_y,gyro_z', expected",
    ),
    "several recordings": (
        lambda path: path.write_text("freq,/tmp/raw_x.csv,/tmp/raw_y.csv\n1,2,3\n"),
        "holds sums over the axes, of several recordings .* give its own file",
    ),
    "cut archive": (
        lambda path: path.write_bytes(gzip.compress(RAW.encode() + random_rows())[:-4000]),
        "the gzip archive is damaged",
    ),
    "damaged archive": (
        lambda path: path.write_bytes(gzip.compress(b"0,1,2,3\n" * 999)[:-8] + b"damaged!"),
        "the gzip archive is damaged",
    ),
    "no archive": (lambda path: path.write_bytes(b"\x1f\x8bnothing"), "archive is damaged"),
    "header only": (lambda path: path.write_text(RAW + "\n"), "has no rows of data"),
    "text": (lambda path: path.write_text(f"{RAW}\n0,1,2,3\n1,x,2,3\n"), "could not convert .*'x'"),
    "short row": (lambda path: path.write_text(f"{RAW}\n0,1,2,3\n1,2\n"), "column"),
    "nan": (
        lambda path: write(path, ticks(), np.where(ticks()[:, None] == ticks()[70], np.nan, 1.0)
                           * np.ones(3)),
        "row 71 of the data holds NaN",
    ),
    "gap": (
        lambda path: write(path, ticks() + (ticks() > 1.0), np.ones((8000, 3))),
        "times are not uniform: .* missing for 1000 ms between rows 3201 and 3202",
    ),
    "backwards": (lambda path: write(path, -ticks(), np.ones((8000, 3))), "does not increase"),
    "slow": (lambda path: write(path, ticks(900, 100.0), np.ones((900, 3))), "100 samples a s"),
    "beyond": (
        lambda path: write(path, ticks(), np.full((8000, 3), 1e200)),
        "got 1e\\+200 mm/s², expected at most 1e\\+07",
    ),
    "dense": (
        lambda path: path.write_text(
            "freq,psd_x,psd_y,psd_z\n" + "".join(f"{k},1,1e200,1\n" for k in range(20))
        ),
        "holds densities beyond 1e\\+14",
    ),
    "brief": (lambda path: write(path, ticks(800), np.ones((800, 3))), "0.25 s, expected a whole"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_unusable_files_are_refused(tmp_path, name):
    prepare, message = BAD[name]
    path = tmp_path / "bad.csv"
    prepare(path)
    with pytest.raises(DataError, match=message) as refused:
        read_spectrum(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert "\n" not in str(refused.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    for path in (tmp_path / "absent.csv", tmp_path):
        with pytest.raises(DataError, match="no such file"):
            read_spectrum(path)
