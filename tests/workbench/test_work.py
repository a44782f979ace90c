"""Work is done by processes of its own; what becomes of it is said, and nothing is lost."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.workbench.benches import begin, ended, order, refused, state, until, visit, with_part
from trajerr.workbench.folder import WORK, Folder
from trajerr.workbench.recipes import RECIPES
from trajerr.workbench.work import STATE_FILE, WORK_FILE

SMALL = {"layers": "all", "effort": "try", "gcode": "part.gcode"}


def processes(word):
    """Yield (pid, command line) of processes that name a word."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            line = path.read_bytes().replace(b"\0", b" ").decode()
            if word in line:
                yield int(path.parent.name), line


needs_proc = pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds processes by /proc")


async def child(word):
    """Return the process that names a word, as soon as it is there."""
    for _ in range(200):
        for pid, _ in processes(word):
            return pid
        await asyncio.sleep(0.05)
    raise AssertionError(f"no process names {word}")


def test_a_file_that_is_no_gcode_is_refused_in_the_commands_words(tmp_path):
    (tmp_path / "part.gcode").write_bytes(b"solid cube\nfacet normal 0 0 1\n")

    async def look(client):
        name = await begin(client, "file", gcode="part.gcode", printer="ender3_v2")
        return await ended(client, name)

    said = visit(tmp_path, look)
    assert said["state"] == "failed"
    assert said["sentence"] == (
        "Failed. look: part.gcode:1: an STL model, expected the G-code that a slicer makes of it"
    )


def test_what_was_asked_can_be_changed_and_asked_again(tmp_path):
    (tmp_path / "it's.gcode").write_bytes(b"solid cube\n")

    async def look(client):
        name = await begin(client, "file", gcode="it's.gcode", printer="ender3_v2")
        await ended(client, name)
        return await (await client.get(f"/work/{name}")).text()

    assert 'href="/file?gcode=it%27s.gcode&amp;printer=ender3_v2"' in visit(tmp_path, look)


def test_a_form_that_asks_for_what_cannot_be_is_refused_before_any_work(tmp_path):
    with_part(tmp_path)

    async def ask(client):
        return [
            await refused(client, "file", printer="ender3_v2"),
            await refused(client, "file", gcode="none.gcode", printer="ender3_v2"),
            await refused(client, "file", gcode="../x.gcode", printer="ender3_v2"),
            await refused(client, "file", gcode="part.gcode", printer="/etc/passwd"),
            await refused(client, "learn", **SMALL, name="../x", printer="ender3_v2"),
            await refused(client, "learn", **SMALL | {"layers": "all hydra.run.dir=/"}, name="a"),
            await refused(client, "learn", **SMALL, name="a", printer="ender3_v2", epochs="0"),
            await refused(client, "printer", name="a", base="ender3_v2"),
            await refused(client, "cook", name="a"),
        ]

    said = visit(tmp_path, ask)
    assert said[0] == "G-code file: nothing is given, expected a file"
    assert said[1] == "none.gcode: no such G-code file in the chosen folder"
    assert said[2] == "'../x.gcode': expected a path within the chosen folder"
    assert said[3] == "Printer: got '/etc/passwd', expected one of the list"
    assert said[4].startswith("name: got '../x', expected letters")
    assert said[6] == "Epochs at most: got '0', expected a whole number above 0"
    assert said[7].startswith("recording along x: nothing is given")
    assert said[8] == "kind: got 'cook', expected one of file, printer, learn, correct"
    assert not (tmp_path / WORK).exists()


@needs_proc
def test_a_killed_command_is_said_and_can_be_gone_on_with(tmp_path):
    with_part(tmp_path)

    async def kill(client):
        name = await begin(client, "file", gcode="part.gcode", printer="ender3_v2")
        os.kill(
            await child(f"trajerr.workbench.look part.gcode --printer ender3_v2 --out work/{name}"),
            signal.SIGKILL,
        )
        first = await ended(client, name)
        code, _ = await order(client, name, "resume")
        return first, code, await ended(client, name)

    first, code, then = visit(tmp_path, kill)
    assert first["state"] == "failed"
    assert "ended by signal 9" in first["sentence"]
    assert (code, then["state"]) == (200, "done")


@needs_proc
def test_a_killed_worker_is_said_and_takes_its_command_along(tmp_path):
    with_part(tmp_path)

    async def kill(client):
        name = await begin(client, "file", gcode="part.gcode", printer="ender3_v2")
        command = await child(
            f"trajerr.workbench.look part.gcode --printer ender3_v2 --out work/{name}"
        )
        os.kill(await child(f"trajerr.workbench.worker {tmp_path}/work/{name}"), signal.SIGKILL)
        first = await ended(client, name)
        alive = [pid for pid, _ in processes("trajerr.workbench.look") if pid == command]
        await order(client, name, "resume")
        return first, alive, await ended(client, name)

    first, alive, then = visit(tmp_path, kill)
    assert first["state"] == "lost"
    assert "the process was killed" in first["sentence"]
    assert alive == []
    assert then["state"] == "done"


FULL = """
import errno, sys
from trajerr.workbench import work, worker
def full(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device", "state.json")
work.write_atomically = full
worker.main()
"""


def test_work_on_a_full_disk_is_said_and_goes_on(tmp_path):
    with_part(tmp_path)
    recipe = RECIPES["file"]
    work = recipe.work({"gcode": "part.gcode", "printer": "ender3_v2"}, Folder(tmp_path))
    work.write(tmp_path / WORK / work.id)
    line = [sys.executable, "-c", FULL, str(tmp_path / WORK / work.id)]
    done = subprocess.run(
        line, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"worker of {work.id}: ")
    assert "No space left on device" in done.stderr
    assert done.stderr.count("\n") == 1

    async def go_on(client):
        before = await state(client, work.id)
        await order(client, work.id, "resume")
        return before, await ended(client, work.id)

    before, then = visit(tmp_path, go_on)
    assert "or of room on its disk" in before["sentence"]
    assert then["state"] == "done"


def test_work_ends_with_the_workbench_and_goes_on_in_the_next(tmp_path):
    with_part(tmp_path)

    async def first(client):
        name = await begin(client, "file", gcode="part.gcode", printer="ender3_v2")
        await until(client, name, lambda said: said["state"] == "runs")
        return name

    async def second(client):
        before = await state(client, name)
        await order(client, name, "resume")
        return before, await ended(client, name)

    name = visit(tmp_path, first)
    before, then = visit(tmp_path, second)
    assert before["state"] == "cancelled"
    assert then["state"] == "done"


def test_work_that_was_under_way_when_all_was_killed_is_lost_and_goes_on(tmp_path):
    with_part(tmp_path)

    async def look(client):
        name = await begin(client, "file", gcode="part.gcode", printer="ender3_v2")
        await ended(client, name)
        return name

    name = visit(tmp_path, look)
    path = tmp_path / WORK / name / STATE_FILE
    path.write_text(json.dumps({"name": "runs", "step": 0}))  # as a power cut leaves it

    async def again(client):
        before = await state(client, name)
        await order(client, name, "resume")
        return before["state"], (await ended(client, name))["state"]

    assert visit(tmp_path, again) == ("lost", "done")


def test_work_is_cancelled_while_it_runs_and_goes_on(tmp_path):
    with_part(tmp_path)

    async def cancel(client):
        name = await begin(client, "file", gcode="part.gcode", printer="ender3_v2")
        await until(client, name, lambda said: said["state"] == "runs")
        assert (await order(client, name, "cancel"))[0] == 200
        first = await ended(client, name)
        codes = [(await order(client, name, "resume"))[0] for _ in range(2)]  # as from two tabs
        return first["state"], codes, (await ended(client, name))["state"]

    assert visit(tmp_path, cancel) == ("cancelled", [200, 400], "done")


def test_more_than_the_places_wait_and_can_be_cancelled_there(tmp_path):
    with_part(tmp_path)

    async def three(client):
        form = {"gcode": "part.gcode", "printer": "ender3_v2"}
        names = [await begin(client, "file", **form) for _ in range(2)]
        waiting = await state(client, names[1])
        await order(client, names[1], "cancel")
        return waiting["state"], [(await ended(client, name))["state"] for name in names]

    assert visit(tmp_path, three, at_once=1) == ("waits", ["done", "cancelled"])


def test_orders_that_make_no_sense_are_refused(tmp_path):
    with_part(tmp_path)

    async def ask(client):
        name = await begin(client, "file", gcode="part.gcode", printer="ender3_v2")
        await ended(client, name)
        cancelled = await order(client, name, "cancel")
        return (
            cancelled,
            await order(client, name, "resume"),
            await order(client, "0" * 12, "cancel"),
        )

    for code, said in visit(tmp_path, ask):
        assert code == 400
        assert said["error"]


def test_a_damaged_piece_of_work_hides_itself_alone(tmp_path):
    with_part(tmp_path)

    async def look(client):
        name = await begin(client, "file", gcode="part.gcode", printer="ender3_v2")
        await ended(client, name)
        (tmp_path / WORK / ("f" * 12)).mkdir()
        (tmp_path / WORK / ("f" * 12) / WORK_FILE).write_text("{")
        return name, await (await client.get("/work")).text(), await client.get(f"/work/{'f' * 12}")

    name, listed, damaged = visit(tmp_path, look)
    assert name in listed
    assert damaged.status == 400


def test_two_tabs_do_not_disturb_each_other(tmp_path):
    with_part(with_part(tmp_path), "other.gcode")

    async def both(client):
        form = {"printer": "ender3_v2"}
        one = await begin(client, "file", gcode="part.gcode", **form)
        other = await begin(client, "file", gcode="other.gcode", **form)
        return [(await ended(client, name))["outcome"] for name in (one, other)], (one, other)

    outcomes, names = visit(tmp_path, both)
    for text, own, foreign in zip(outcomes, names, reversed(names), strict=True):
        assert own in text
        assert foreign not in text


@pytest.mark.slow
def test_a_printer_is_learnt_cancelled_gone_on_with_and_used(tmp_path):
    """From a part to a bundle to a corrected file, as a person would click it."""
    with_part(tmp_path, layers=4)

    async def all_of_it(client):
        form = SMALL | {"name": "mine", "printer": "ender3_v2", "source": "simulated"}
        name = await begin(client, "learn", **form, epochs="3")
        await until(client, name, lambda said: said["losses"])
        await order(client, name, "cancel")
        cancelled = await ended(client, name)
        await order(client, name, "resume")
        learnt = await ended(client, name)
        correct = {"gcode": "part.gcode", "bundle": "bundles/mine", "layers": "2"}
        other = await begin(client, "correct", **correct, place="beside")
        return cancelled, learnt, await ended(client, other)

    cancelled, learnt, corrected = visit(tmp_path, all_of_it)
    assert (cancelled["state"], cancelled["step"]) == ("cancelled", 2)
    assert learnt["state"] == "done", learnt["output"]
    assert len(learnt["losses"]["val"]) == 3
    assert (tmp_path / "bundles" / "mine" / "bundle.json").is_file()
    assert corrected["state"] == "done", corrected["output"]
    assert "Correct a file with it" in learnt["outcome"]
    assert (tmp_path / "part.gcode").is_file()


def test_a_printer_is_made_from_klippers_own_file(tmp_path):
    (tmp_path / "printer.cfg").write_text(
        "[printer]\nkinematics: corexy\nmax_velocity: 300\nmax_accel: 4000\nmax_z_velocity: 5\n"
        "max_z_accel: 100\n[stepper_x]\nposition_max: 235\n[no_such_thing <b>]\nodd: 1\n"
    )

    async def make(client):
        form = {"name": "mine", "base": "corexy", "source": "printer_cfg"}
        name = await begin(client, "printer", **form, printer_cfg="printer.cfg")
        said = await ended(client, name)
        return said, await (await client.get("/printer")).text()

    said, page = visit(tmp_path, make)
    assert said["state"] == "done", said["output"]
    assert "What the file says" in said["outcome"]
    assert "not understood: odd 1 ([no_such_thing &lt;b&gt;])" in said["outcome"]
    assert (tmp_path / "conf" / "printer" / "mine.yaml").is_file()
    assert "<td>mine</td><td>yours</td>" in page


def test_the_file_to_record_is_made_and_can_be_looked_at(tmp_path):
    async def make(client):
        form = {"name": "mine", "base": "ender3_v2", "source": "test_print"}
        name = await begin(client, "printer", **form)
        made = await ended(client, name)
        page = await (await client.get("/file")).text()
        return made, page

    made, page = visit(tmp_path, make)
    assert made["state"] == "done", made["output"]
    assert "/file?gcode=prints/mine_record.gcode&printer=ender3_v2" in made["outcome"]
    assert '<option value="prints/mine_record.gcode">' in page
