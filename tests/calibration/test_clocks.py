"""Uneven times: a known mass recorded with them, vibration that must not fold, and bounds."""

from pathlib import Path

import numpy as np
import pytest

from tests.calibration.shaken import felt, noise
from tests.calibration.shipped import SWEEP
from trajerr.calibration.clocks import measure_timing
from trajerr.calibration.recordings import recorded_spectrum
from trajerr.calibration.resonance import fit_resonance
from trajerr.errors import DataError

COUNT = 262_000  # samples; 65 s at 4 kHz
MODE = (47.0, 0.08)
SEED = 5


def bursts(count=COUNT):
    """(N,) s as an MPU-9250's FIFO gave: seven steps of 0.198 ms, then one of 0.596."""
    return np.cumsum(np.where(np.arange(count) % 8 == 7, 596e-6, 198e-6))


def shuffled(count=COUNT):
    """The same steps in random order, so that times wander as well."""
    random = np.random.default_rng(SEED)
    return np.cumsum(np.where(random.random(count) < 0.131, 596e-6, 198e-6))


def scattered(count=COUNT):
    """Steps of 0.16 to 0.34 ms, so that none is off by half of 0.25."""
    return np.cumsum(np.random.default_rng(SEED).uniform(160e-6, 340e-6, count))


def drifting(count=COUNT):
    """A sensor whose clock runs by 1 % fast and slow."""
    return np.cumsum(250e-6 * (1.0 + 0.01 * np.sin(np.arange(count) / 4e4)))


def even(stamps):
    return np.linspace(stamps[0], stamps[-1], len(stamps))


def written(stamps):
    """As Klipper prints them, late on its clock."""
    return np.round(1e4 + stamps, 6)


def spectrum(stamps, acceleration):
    return recorded_spectrum(
        measure_timing(written(stamps), Path("raw.csv")), acceleration[:, None] * [1.0, 0.0, 0.1]
    )


def fitted(stamps, acceleration):
    return fit_resonance(spectrum(stamps, acceleration), 0, SWEEP, "raw.csv")


def shaken(time, rate_hz=4000.0):
    return felt(time, *MODE, hz_per_s=2.0) + noise(len(time), rate_hz)


@pytest.fixture(scope="module")
def evenly():
    """What evenly sampled data of the same mass gives."""
    time = np.arange(COUNT) / 4000.0
    return fitted(time, shaken(time))


def show(found):
    frequency, damping = found.natural_freq_hz, found.damping_ratio
    print(f"{frequency.value / MODE[0] - 1.0:+.3%}, {damping.value:.4f}: {damping}")


def assert_known(found, evenly):
    show(found)
    assert found.natural_freq_hz.value == pytest.approx(MODE[0], rel=0.005)
    reach = evenly.damping_ratio.high - evenly.damping_ratio.low
    assert abs(found.damping_ratio.value - MODE[1]) < max(reach, 0.005 * MODE[1])


@pytest.mark.parametrize("stamps", [bursts, shuffled, scattered, drifting])
def test_a_mass_sampled_at_uneven_times_is_found(stamps, evenly):
    time = stamps()
    assert_known(fitted(time, shaken(time)), evenly)


def test_a_mass_sampled_evenly_with_wrong_times_is_found(evenly):
    """As a FIFO is filled: evenly, whatever Klipper took the times for."""
    assert_known(fitted(bursts(), shaken(even(bursts()))), evenly)


def test_even_samples_are_left_as_they_are():
    time = np.arange(COUNT) / 4000.0
    found = spectrum(time, shaken(time))
    assert found.clock is None
    assert found.timing.even
    assert found.timing.sentences() == []


def tone(time):
    return 5000.0 * np.sqrt(2.0) * np.sin(2.0 * np.pi * 1200.0 * time)


def below_200_hz(found):
    """Share of a tone's 25e6 (mm/s²)² that is found in 10 to 200 Hz."""
    band = (found.frequency >= 10.0) & (found.frequency <= 200.0)
    return found.density[band, 0].sum() * found.step / 25e6


def test_vibration_sampled_evenly_does_not_fold_by_wrong_times():
    """Interpolating at the file's times would put 15 % of it there."""
    found = spectrum(bursts(), tone(even(bursts())))
    assert found.clock == "sensor"
    assert below_200_hz(found) < 1e-6


def test_vibration_sampled_at_uneven_times_does_not_fold():
    """Taking these samples as even would put 0.6 % of it there, straight lines 0.2 %."""
    found = spectrum(scattered(), tone(scattered()))
    assert found.clock == "file"
    assert below_200_hz(found) < 3e-4


@pytest.mark.parametrize(
    ("stamps", "taken"),
    [(s, np.copy) for s in (bursts, shuffled, scattered, drifting)] + [(bursts, even)],
)
def test_vibration_leaves_the_mass_findable(stamps, taken):
    """5 m/s² RMS at 1.2 kHz, whichever clock is the right one."""
    time = taken(stamps())
    found = fitted(stamps(), shaken(time) + tone(time))
    show(found)
    assert found.natural_freq_hz.value == pytest.approx(MODE[0], rel=0.005)
    assert found.damping_ratio.low < MODE[1] < found.damping_ratio.high
    assert found.damping_ratio.value == pytest.approx(MODE[1], rel=0.01)


@pytest.mark.parametrize("hertz", [47.0, 135.0, 195.0])
def test_what_is_analysed_keeps_its_power_and_frequency(hertz):
    found = spectrum(bursts(), 5000.0 * np.sqrt(2.0) * np.sin(2.0 * np.pi * hertz * even(bursts())))
    assert found.frequency[np.argmax(found.density[:, 0])] == pytest.approx(hertz, abs=1.0)
    assert below_200_hz(found) == pytest.approx(1.0, rel=0.01)


def without(count, *blocks):
    kept = np.ones(count, bool)
    for start, length in blocks:
        kept[start : start + length] = False
    return kept


@pytest.mark.parametrize("at_s", [21.0, 21.005, 40.0])
def test_a_lost_message_is_bridged(at_s, evenly):
    """At 2 Hz/s the mode rings at 21 s."""
    time = np.arange(COUNT) / 4000.0
    kept = without(COUNT, (int(at_s * 4000.0), 8))
    timing = measure_timing(written(time[kept]), Path("raw.csv"))
    assert (timing.gaps, timing.missing, timing.uneven_steps) == (1, 8, 1)
    assert timing.rate_hz == pytest.approx(4000.0, rel=1e-6)
    assert timing.longest_gap_s == pytest.approx(0.002, rel=1e-6)
    assert_known(fitted(time[kept], shaken(time)[kept]), evenly)


def test_a_lost_message_among_bursts_is_found():
    """2.6 ms without samples, the rest as uneven as ever; counted to one sample."""
    kept = without(COUNT, (100_000, 10))
    timing = measure_timing(written(bursts()[kept]), Path("raw.csv"))
    assert timing.gaps == 1
    assert abs(timing.missing - 10) <= 1


def test_as_many_lost_messages_as_allowed_leave_the_frequency(evenly):
    time = np.arange(COUNT) / 4000.0
    kept = without(COUNT, *((start, 16) for start in range(100, COUNT, 1620)))
    found = fitted(time[kept], (shaken(time) + tone(time))[kept])
    assert found.natural_freq_hz.value == pytest.approx(MODE[0], rel=0.005)
    assert found.damping_ratio.low < MODE[1] < found.damping_ratio.high


def test_what_is_said_of_uneven_times():
    timing = measure_timing(written(bursts()[without(COUNT, (100_000, 8))]), Path("raw.csv"))
    uneven, missing = timing.sentences()
    assert uneven.startswith("times are uneven, up to 0.35 ms off an even rate: ")
    assert "32750 of 261991 steps are off by more than half, the largest is 2.18 ms" in uneven
    assert uneven.endswith("resampled at the mean rate, 4036.3 Hz")
    assert missing.startswith("8 of 262000 samples are missing, for up to 1.98 ms at a time")


def alternating():
    """500 Hz with every second sample 0.75 ms late."""
    return np.cumsum(np.where(np.arange(5000) % 2, 0.5e-3, 3.5e-3))


def turned_back():
    time = np.arange(8000) / 3200.0
    time[70] = time[60]
    return time


def emptied(*blocks):
    return (np.arange(8000) / 3200.0)[without(8000, *blocks)]


BAD = {
    "scatter": (alternating, r"scatter by 0\.75 ms RMS .* \(3\.5 ms\), at most 0\.5 ms"),
    "back": (turned_back, "time does not increase between rows 70 and 71 of the data"),
    "one": (lambda: np.zeros(1), "time does not increase; record again"),
    "long gap": (
        lambda: emptied((3000, 40)),
        r"missing for 12\.5 ms between rows 3000 and 3001 of the data, at most 10 ms",
    ),
    "endless gap": (
        lambda: np.concatenate([np.arange(4000) / 3200.0, [1e300]]),
        "are missing for 1e.303 ms between rows 4000 and 4001",
    ),
    "many at once": (
        lambda: emptied((3000, 30), (3100, 30), (3200, 30)),
        r"5\.6 % of the samples in the 0\.5 s around row \d+ of the data .* at most 5 %",
    ),
    "many in all": (
        lambda: emptied(*((start, 8) for start in range(100, 8000, 500))),
        r"1\.6 % of the samples in all of the data are missing, at most 1 %",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_times_beyond_the_bounds_are_refused(name):
    times, message = BAD[name]
    with pytest.raises(DataError, match=message) as refused:
        measure_timing(times(), Path("raw.csv"))
    assert str(refused.value).startswith("raw.csv: ")
    assert "\n" not in str(refused.value)
