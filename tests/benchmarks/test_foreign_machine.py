"""The machines of ``benchmarks/foreign``: closed forms, a second source, convergence."""

import math
from dataclasses import replace

import numpy as np
import pytest
from benchmarks.foreign import machine as ranges
from benchmarks.foreign.kernel import at_rest
from benchmarks.foreign.machine import Axis, Machine, chain_damping, chain_stiffness, draw
from benchmarks.foreign.motion import MachineModel, Variant
from scipy.signal import StateSpace, chirp, find_peaks, lsim

from trajerr.commands.configs import load_printer
from trajerr.gcode.parts import load_part
from trajerr.motion.features import compute_features
from trajerr.motion.lead_in import LayerMotion
from trajerr.motion.planner import plan
from trajerr.motion.trajectory import Trajectory

RATE = 1000.0
UM = 1000.0


def stilled(machine: Machine) -> Machine:
    """Return a machine whose frame does not move."""
    return replace(machine, frame=replace(machine.frame, mass_kg=1e12, sway=0.0))


def smooth(machine: Machine, **changes: object) -> Machine:
    """Return a machine without ripple and backlash, other keys of both axes changed."""
    keys = {"ripple_mm": (0.0, 0.0), "backlash_mm": 0.0, **changes}
    return replace(machine, x=replace(machine.x, **keys), y=replace(machine.y, **keys))


def linear(machine: Machine) -> Machine:
    """Return a machine without friction that is not viscous, too."""
    nothing = {"coulomb_n": 1e-12, "static_n": 1e-12, "bristle_n_s_per_m": 0.0}
    return smooth(machine, **nothing)


def ramp(speed: float, seconds: float) -> np.ndarray:
    return np.repeat(speed * np.arange(round(seconds * RATE) + 1)[:, None] / RATE, 2, axis=1)


def run(machine: Machine, command: np.ndarray, **options: float) -> np.ndarray:
    return Variant(machine, **options).from_rest(command, RATE)


def test_a_seed_names_the_same_machines_and_each_differs():
    assert draw(3, 1) == draw(3, 1)
    drawn = [draw(seed, number) for seed in (0, 1) for number in range(5)]
    assert len({machine.x.belt_n_per_m for machine in drawn}) == 10
    assert all(machine.x.belt_n_per_m != machine.y.belt_n_per_m for machine in drawn)


@pytest.mark.parametrize("number", range(20))
def test_machines_lie_within_the_stated_ranges(number):
    machine = draw(7, number)
    for axis, masses in zip((machine.x, machine.y), ranges.MASS_KG, strict=True):
        first, second = axis.modes_hz
        within = {
            "first": (first, ranges.FIRST_HZ),
            "second": (second, ranges.SECOND_HZ),
            "mass": (axis.carriage_kg + axis.tool_kg, masses),
            "friction": (axis.coulomb_n, ranges.COULOMB_N),
            "backlash": (axis.backlash_mm, ranges.BACKLASH_MM),
            "lag": (axis.lag_s, ranges.LAG_S),
        }
        outside = {k: v for k, (v, (low, high)) in within.items() if not low <= v <= high}
        assert outside == {}
        assert second > ranges.SECOND_ABOVE * first
        assert min(axis.belt_n_s_per_m, axis.mount_n_s_per_m) > 0.0


def test_two_masses_get_the_frequencies_and_damping_ratios_asked_for():
    mass = np.array([0.31, 0.06])
    stiffness = chain_stiffness(mass, 41.0, 88.0)
    damping = chain_damping(mass, stiffness, np.array([0.07, 0.03]))

    def matrix(pair):
        return np.array([[pair[0] + pair[1], -pair[1]], [-pair[1], pair[1]]]) / mass[:, None]

    upper = np.hstack([np.zeros((2, 2)), np.eye(2)])
    system = np.vstack([upper, np.hstack([-matrix(stiffness), -matrix(damping)])])
    poles = np.linalg.eigvals(system)
    poles = poles[poles.imag > 0.0][np.argsort(np.abs(poles[poles.imag > 0.0]))]
    assert np.abs(poles) / (2.0 * np.pi) == pytest.approx([41.0, 88.0], rel=1e-3)
    assert -poles.real / np.abs(poles) == pytest.approx([0.07, 0.03], rel=0.01)


def test_frequencies_too_close_for_the_masses_are_refused():
    with pytest.raises(ValueError, match="second mode: got 42 Hz, expected more"):
        chain_stiffness(np.array([0.3, 0.1]), 40.0, 42.0)


@pytest.mark.parametrize("stiffness", [0.81, 1.0, 1.21])
@pytest.mark.parametrize("number", [0, 1])
def test_a_chirp_finds_both_modes_where_they_are_stated(number, stiffness):
    machine = linear(stilled(draw(0, number)))
    time = np.arange(round(60.0 * RATE)) / RATE
    sweep = 0.01 * chirp(time, 15.0, time[-1], 150.0)
    command = np.column_stack([sweep, sweep])
    moved = run(machine, command, stiffness=stiffness)
    frequency = np.fft.rfftfreq(len(time), 1.0 / RATE)
    for column, axis in enumerate((machine.x, machine.y)):
        gain = np.abs(np.fft.rfft(moved[:, column])) / np.abs(np.fft.rfft(sweep))
        inside = (frequency > 20.0) & (frequency < 145.0)
        near = np.convolve(gain, np.ones(9) / 9.0, "same")[inside]
        peaks, found = find_peaks(near, prominence=0.02)
        highest = np.sort(peaks[np.argsort(found["prominences"])[-2:]])
        stated = math.sqrt(stiffness) * axis.modes_hz
        assert frequency[inside][highest] == pytest.approx(stated, rel=0.02)


def second_source(machine: Machine, command: np.ndarray) -> np.ndarray:
    """Return what SciPy makes of the linear machine, with Lagrange's mass matrix."""
    axes: tuple[Axis, ...] = (machine.x, machine.y)
    mass, spring, damper = (np.zeros((5, 5)) for _ in range(3))
    mass[4, 4] = machine.frame.mass_kg
    spring[4, 4], damper[4, 4] = machine.frame.stiffness_n_per_m, machine.frame.damping_n_s_per_m
    state, drive = np.zeros((12, 12)), np.zeros((12, 2))
    for i, (axis, along) in enumerate(zip(axes, machine.frame.direction, strict=True)):
        a, b = 2 * i, 2 * i + 1
        for row, own in ((a, axis.carriage_kg), (b, axis.tool_kg)):
            mass[row, row] += own
            mass[row, 4] = mass[4, row] = own * along
            mass[4, 4] += own * along**2
        pair = np.ix_([a, b], [a, b])
        k, n = axis.belt_n_per_m, axis.mount_n_per_m
        spring[pair] = [[k + n, -n], [-n, n]]
        c, d = axis.belt_n_s_per_m, axis.mount_n_s_per_m
        damper[pair] = [[c + d + axis.viscous_n_s_per_m, -d], [-d, d]]
    inverse = np.linalg.inv(mass)
    state[:5, 5:10] = np.eye(5)
    state[5:10, :5], state[5:10, 5:10] = -inverse @ spring, -inverse @ damper
    for i, axis in enumerate(axes):
        state[5:10, 10 + i] = inverse[:, 2 * i] * (
            axis.belt_n_per_m - axis.belt_n_s_per_m / axis.lag_s
        )
        drive[5:10, i] = inverse[:, 2 * i] * axis.belt_n_s_per_m / axis.lag_s
        state[10 + i, 10 + i], drive[10 + i, i] = -1.0 / axis.lag_s, 1.0 / axis.lag_s
    seen = np.zeros((2, 12))
    seen[0, 1] = seen[1, 3] = 1.0
    seen[:, 4] = machine.frame.sway * np.array(machine.frame.direction)
    system = StateSpace(state, drive, seen, np.zeros((2, 2)))
    return np.asarray(lsim(system, command, np.arange(len(command)) / RATE)[1])


def test_without_what_is_not_linear_it_moves_as_scipy_says():
    machine = linear(draw(0, 2))
    time = np.arange(round(4.0 * RATE)) / RATE
    command = np.column_stack(
        [0.1 * chirp(time, 5.0, 4.0, 120.0), 0.1 * chirp(time, 110.0, 4.0, 4.0) - 0.1]
    )
    command -= command[0]
    moved, expected = run(machine, command, step_rate_hz=80000.0), second_source(machine, command)
    assert UM * np.std(expected - command) > 50.0
    assert UM * np.max(np.abs(moved - expected)) < 0.05


@pytest.mark.parametrize("stiffness", [0.81, 1.0, 1.21])
@pytest.mark.parametrize("speed", [40.0, -40.0, 150.0])
def test_at_a_steady_speed_it_trails_by_friction_over_stiffness_gap_and_lag(speed, stiffness):
    machine = smooth(draw(0, 0), backlash_mm=0.014)
    trails = run(machine, ramp(speed, 1.5), stiffness=stiffness)[-1] - ramp(speed, 1.5)[-1]
    for error, axis in zip(trails, (machine.x, machine.y), strict=True):
        raised = (axis.static_n - axis.coulomb_n) * math.exp(-((speed / axis.stribeck_mm_s) ** 2))
        viscous = axis.viscous_n_s_per_m * abs(speed) / 1000.0
        friction = axis.coulomb_n + raised + viscous
        belt = 1000.0 * friction / (stiffness * axis.belt_n_per_m)
        lag = abs(speed) * axis.lag_s
        assert UM * abs(error) == pytest.approx(UM * (belt + 0.007 + lag), abs=0.01)
        assert np.sign(error) == -np.sign(speed)


@pytest.mark.parametrize("gap", [0.004, 0.020])
def test_backlash_widens_the_loop_of_a_slow_reversal_by_its_gap(gap):
    out = ramp(20.0, 6.0)
    there_and_back = np.concatenate([out, out[-2::-1]])

    def width(machine):
        moved = run(machine, there_and_back)
        middle = len(out) // 2
        assert np.array_equal(there_and_back[middle], there_and_back[-1 - middle])
        return moved[-1 - middle] - moved[middle]

    machine = draw(0, 1)
    wider = width(smooth(machine, backlash_mm=gap)) - width(smooth(machine))
    assert UM * wider == pytest.approx([UM * gap] * 2, abs=0.05)


def test_before_it_slips_the_carriage_hangs_between_belt_and_bristles():
    machine = smooth(stilled(draw(0, 3)))
    pull = 2e-4  # mm: a hundredth of what breaks the bristles away
    command = np.concatenate([ramp(pull / 0.5, 0.5), np.full((3000, 2), pull)])
    moved = run(machine, command)[-1]
    for moves, axis in zip(moved, (machine.x, machine.y), strict=True):
        share = axis.belt_n_per_m / (axis.belt_n_per_m + axis.bristle_n_per_m)
        assert moves / pull == pytest.approx(share, rel=0.05)


def test_the_frame_carries_the_motion_of_one_axis_to_the_other():
    machine, command = draw(0, 0), ramp(100.0, 0.5)
    command[:, 1] = 0.0
    coupled = run(machine, command)[:, 1]
    alone = run(stilled(machine), command)[:, 1]
    assert UM * np.max(np.abs(coupled)) > 1.0
    assert UM * np.max(np.abs(alone)) < 0.2


@pytest.fixture(scope="module")
def printed() -> list[Trajectory]:
    """Some seconds of a real layer in two pieces, 10 kHz."""
    printer = load_printer("ender3_stock")
    planned = plan(printer.placed(load_part("nautilus")), printer.limits)
    motion = LayerMotion.of(planned, 28)
    whole = next(iter(motion.pieces(10000.0)))
    return [whole.rows(slice(0, 31234)), whole.rows(slice(31234, 60000))]


def actual(machine: Machine, pieces: list[Trajectory], step_rate_hz: float) -> np.ndarray:
    variant = Variant(machine, step_rate_hz=step_rate_hz)
    return np.concatenate([motion.xy for _, motion in variant.along(pieces)])


@pytest.mark.parametrize("number", range(5))
def test_halving_the_step_moves_a_layer_by_less_than_a_tenth_of_a_micrometre(number, printed):
    machine = draw(0, number)
    finest = actual(machine, printed, 160000.0)
    rates = (10000.0, 20000.0, 40000.0)
    far = [UM * float(np.std(actual(machine, printed, r) - finest)) for r in rates]
    print(f"{number}: {', '.join(f'{value:.4f}' for value in far)} µm RMS at {rates} Hz")
    halved = actual(machine, printed, 20000.0) - actual(machine, printed, 40000.0)
    assert UM * float(np.std(halved)) < 0.05
    assert UM * float(np.quantile(np.abs(halved), 0.999)) < 0.1
    assert far[0] / far[1] > 3.0  # second order: 4


def test_a_print_in_pieces_moves_as_in_one(printed):
    machine = draw(0, 4)
    whole = actual(machine, [Trajectory.joined(printed)], 20000.0)
    assert np.array_equal(actual(machine, printed, 20000.0), whole)


def test_as_an_error_model_it_says_where_it_goes(printed):
    machine, whole = Variant(draw(0, 0)), printed[0].position[:, :2]
    command = printed[0].position[::50]
    features = compute_features(command, 200.0)
    still = np.repeat(features[:1], len(features), axis=0)
    errors = MachineModel(machine, 200.0, threads=2, band_hz=60.0).errors(
        np.stack([features, still])
    )
    xy = command[:, :2]
    moved = machine.follow(whole, printed[0].sample_rate, at_rest(whole[0]))[::50]
    straight = machine.from_rest(xy, 200.0)  # what lies between the samples makes the difference
    assert UM * np.std(moved - xy) > 10.0
    assert np.std(errors[0] + xy - moved) < 0.7 * np.std(straight - moved)
    assert UM * np.std(errors[0] + xy - moved) < 2.0
    assert UM * np.max(np.abs(errors[1])) < machine_ripple_um(machine.machine)


def machine_ripple_um(machine: Machine) -> float:
    """Return by how much a motor at rest may stand off, with the gap on top."""
    axes = (machine.x, machine.y)
    return UM * max(sum(axis.ripple_mm) + axis.backlash_mm for axis in axes)
