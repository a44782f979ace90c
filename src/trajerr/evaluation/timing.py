"""How long a prediction takes, measured: warmed up, many calls, on one and on all threads."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trajerr.evaluation.prediction import Network
from trajerr.models.threads import on_threads

WARM_UP = 10  # calls
CALLS = 200  # at most
MIN_CALLS = 5
BUDGET = 3.0  # s for each measurement; slow networks make fewer calls
BATCHES = (1, 256)
RUNTIME = "PyTorch, eager mode"


@dataclass(frozen=True)
class Timing:
    """Quantiles of the wall time of one call."""

    threads: int
    batch: int
    calls: int
    p50_ms: float
    p99_ms: float


def window_latency_ms(network: Network, window: Tensor) -> float:
    """Return the median time of one window (T, 15) on one thread."""
    return _time_windows(network, window, 1, 1).p50_ms


def step_latency_us(network: Network, window: Tensor) -> float:
    """Return the median time of one new sample of a stream on one thread."""
    return 1000 * _time_steps(network, window).p50_ms


def measure_inference(network: Network, window: Tensor) -> dict[str, Any]:
    """Time whole windows and single steps of a network on this machine.

    Parameters
    ----------
    network
        In eval mode.
    window : (T, 15)
        Raw features.

    Returns
    -------
    dict
        ``runtime``: what was timed; ``window_ms_p50``, ``window_ms_p99``: one window, one
        thread; ``step_us_p50``, ``step_us_p99``: one new sample, one thread; ``windows``: a
        table over threads and batch sizes.
    """
    table = [
        _time_windows(network, window, threads, batch)
        for threads in sorted({1, torch.get_num_threads()})
        for batch in BATCHES
    ]
    single, step = table[0], _time_steps(network, window)
    return {
        "runtime": RUNTIME,
        "window_ms_p50": single.p50_ms,
        "window_ms_p99": single.p99_ms,
        "step_us_p50": 1000 * step.p50_ms,
        "step_us_p99": 1000 * step.p99_ms,
        "windows": [asdict(row) for row in table],
    }


def _time_windows(network: Network, window: Tensor, threads: int, batch: int) -> Timing:
    features = window.expand(batch, -1, -1).contiguous()
    with on_threads(threads), torch.inference_mode():
        return measure_calls(lambda: network(features), threads, batch)


def _time_steps(network: Network, window: Tensor) -> Timing:
    """Time what one new sample costs: a step of the memory, or the whole context anew."""
    with on_threads(1), torch.inference_mode():
        if not hasattr(network, "step"):
            context = window.repeat(1 + network.context_length // len(window), 1)
            recent = context[-network.context_length :][None]
            return measure_calls(lambda: network(recent), 1, 1)
        samples, state = list(window[:, None]), [network.initial_state(1)]

        def advance() -> None:
            _, state[0] = network.step(state[0], samples[0])
            samples.append(samples.pop(0))

        return measure_calls(advance, 1, 1)


def measure_calls(call: Callable[[], object], threads: int, batch: int) -> Timing:
    """Time a call after a warm-up.

    Parameters
    ----------
    call
        What is timed.
    threads, batch
        What the call uses, for the record.
    """
    begin = time.perf_counter()
    warm = 0
    while warm < WARM_UP and (warm < 2 or time.perf_counter() - begin < BUDGET / 3):
        call()
        warm += 1
    seconds: list[float] = []
    begin = time.perf_counter()
    while len(seconds) < CALLS and (
        len(seconds) < MIN_CALLS or time.perf_counter() - begin < BUDGET
    ):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    p50, p99 = 1000 * np.percentile(seconds, [50, 99])
    return Timing(threads, batch, len(seconds), float(p50), float(p99))
