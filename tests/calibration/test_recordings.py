"""Klipper's files, and spectra taken as Klipper takes them."""

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


BAD = {
    "empty": (lambda path: path.write_text(""), "is empty"),
    "binary": (lambda path: path.write_bytes(bytes(range(256)) * 9), "not a text file"),
    "columns": (lambda path: path.write_text("a,b\n1,2\n"), r"starts with 'a,b', expected"),
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
        "times are not uniform: 1.0003.* between rows 3201 and 3202",
    ),
    "backwards": (lambda path: write(path, -ticks(), np.ones((8000, 3))), "does not increase"),
    "slow": (lambda path: write(path, ticks(900, 100.0), np.ones((900, 3))), "100 samples a s"),
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
