"""Transform lengths, smoothing and noise, which SciPy has too; a light install does without it."""

import numpy as np

from trajerr.arrays import Floats

_REACH = 4.0  # standard deviations, beyond which a Gaussian counts for nothing


def fast_length(count: int) -> int:
    """Return the least length from ``count`` up whose Fourier transform is fast: 2^a·3^b·5^c."""
    best, power_of_5 = 1 << count.bit_length(), 1
    while power_of_5 < best:
        odd = power_of_5
        while odd < best:
            best = min(best, odd << (-(-count // odd) - 1).bit_length())
            odd *= 3
        power_of_5 *= 5
    return best


def blurred(values: Floats, deviation: float) -> Floats:
    """Return (T, K) values, each the mean of its neighbours in time weighted by a Gaussian.

    Parameters
    ----------
    values
        They are mirrored at both ends.
    deviation
        Standard deviation of the Gaussian, samples.
    """
    reach = int(_REACH * deviation + 0.5)
    weight = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    weight /= weight.sum()
    mirrored = np.pad(values, ((reach, reach), (0, 0)), mode="symmetric")
    columns = [np.convolve(column, weight, mode="valid") for column in mirrored.T]
    return np.asarray(np.stack(columns, axis=1), dtype=np.float64)


def band_limited(random: np.random.Generator, count: int, band: float, least: int = 1) -> Floats:
    """Return (count, 2) random numbers that hold all frequencies alike up to some; RMS 1.

    Parameters
    ----------
    random
        Where they come from.
    count
        How many.
    band
        Up to which frequency, as a share of the sample rate; none at 0.
    least
        Samples over which the RMS is 1, at least.
    """
    length = fast_length(max(count, least))
    normal = random.standard_normal((length // 2 + 1, 2, 2))
    spectrum = normal[..., 0] + 1j * normal[..., 1]
    spectrum[int(band * length) :] = 0.0
    spectrum[0] = 0.0
    noise = np.fft.irfft(spectrum, length, axis=0)
    return np.asarray((noise / np.std(noise, axis=0))[:count])
