"""Whole visits in a browser: what a person sees and clicks, wide and narrow, light and dark."""

import os
from pathlib import Path

import numpy as np
import pytest

from tests.calibration.shaken import felt, noise
from tests.workbench.benches import visit, with_part
from tests.workbench.browser import Tab, tab
from trajerr.exporting.export import export_bundle

RATE_HZ, SWEEP_S = 3200.0, 131.0  # of Klipper's test from 5 to 135 Hz
WIDE, NARROW = (1280, 900), (390, 844)
ENDED = "!['waits', 'runs'].includes(document.querySelector('[data-work]').dataset.state)"
SHOWN = "document.querySelector('.outcome').innerText"


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Where screenshots go: kept where somebody wants to look at them."""
    folder = Path(os.environ.get("TRAJERR_SCREENSHOTS", tmp_path / "pictures"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def browse(folder: Path, what) -> list[str]:
    """Visit a folder's workbench in a browser; it may ask for nothing elsewhere."""

    async def served(client):
        async with tab(folder.parent / "profile") as page:
            base = str(client.make_url("/")).rstrip("/")
            await page.shape(*WIDE)
            await what(page, base)
            assert page.faults == []
            foreign = [url for url in page.asked if not url.startswith((base, "data:", "about:"))]
            assert foreign == []

    return visit(folder, served)


async def look(page: Tab, pictures: Path, name: str) -> None:
    """Take pictures in every shape, in which nothing may stand out."""
    for shape, size in (("wide", WIDE), ("narrow", NARROW)):
        for dark in (False, True):
            await page.shape(*size, dark=dark)
            await page.picture(
                pictures / f"{name}_{shape}{'_dark' if dark else ''}.png", size[0], dark
            )
            assert await page.fits(), f"{name}, {shape}"
    await page.shape(*WIDE)


async def finished(page: Tab) -> str:
    await page.until("!!document.querySelector('[data-work]')")
    await page.until(ENDED)
    said = await page.run("document.querySelector('.state').innerText")
    assert said == "Done.", await page.run("document.body.innerText")
    return await page.until(SHOWN)


def test_a_file_is_dropped_and_seen_and_stays_after_a_reload(tmp_path, pictures):
    part = with_part(tmp_path / "elsewhere") / "part.gcode"

    async def a_visit(page, base):
        await page.open(base)
        await look(page, pictures, "home")
        await page.click("a.card[href='/file']")
        await page.until("!!document.querySelector('form')")
        await page.drop("gcode", part)
        await page.until(
            "document.querySelector('.line pre').textContent.includes('uploads/part.gcode')"
        )
        await page.fill("printer", "ender3_v2")
        await look(page, pictures, "file_form")
        await page.click("button.main")
        seen = await finished(page)
        assert "print time" in seen
        assert "What was understood" in seen
        address = await page.run("location.href")
        await page.open(address)
        assert await finished(page) == seen
        await page.until("document.querySelector('iframe').getBoundingClientRect().height > 300")
        await look(page, pictures, "file_seen")

    browse(tmp_path / "bench", a_visit)


def recording(path: Path, natural_freq_hz: float, axis: int) -> None:
    """Write what Klipper's resonance test leaves, of an axis that is known."""
    time = np.arange(int(RATE_HZ * SWEEP_S)) / RATE_HZ
    shaken = felt(time, natural_freq_hz, 0.06)
    columns = [noise(len(time), RATE_HZ, seed) for seed in range(3)]
    columns[axis] = columns[axis] + shaken
    np.savetxt(
        path,
        np.column_stack([time, *columns]),
        "%.6f",
        ",",
        header="time,accel_x,accel_y,accel_z",
        comments="#",
    )


def test_a_printer_is_measured_from_a_dropped_recording(tmp_path, pictures):
    (tmp_path / "elsewhere").mkdir()
    file = tmp_path / "elsewhere" / "raw_data_x.csv"
    recording(file, 47.0, 0)

    async def a_visit(page, base):
        await page.open(f"{base}/printer")
        await page.fill("name", "mine")
        await page.fill("base", "ender3_v2")
        await page.drop("x", file)
        await look(page, pictures, "printer_form")
        await page.click("button.main")
        seen = await finished(page)
        assert "the printer swings" in seen
        assert abs(float(seen.split("swings")[1].split()[0]) - 47.0) < 1.0
        await look(page, pictures, "printer_found")
        await page.open(f"{base}/learn?printer=mine")
        assert await page.run("document.querySelector('[name=printer]').value") == "mine"

    browse(tmp_path / "bench", a_visit)


def test_a_bundle_is_added_and_a_file_corrected_by_clicking(tmp_path, pictures, make_checkpoint):
    part, bundle = with_part(tmp_path / "elsewhere", layers=1) / "part.gcode", tmp_path / "learnt"
    export_bundle(make_checkpoint("physics").path, bundle, ["onnx"])
    chosen = "document.querySelector('[name=bundle]').selectedOptions[0].text"

    async def a_visit(page, base):
        await page.open(base)
        await page.click("a.card[href='/correct']")
        await page.until("!!document.querySelector('form')")
        assert await page.run(chosen) == "none yet"
        assert await page.run("document.querySelector('.add-bundle').open")
        await look(page, pictures, "correct_empty")
        await page.drop("gcode", part)
        await page.choose(".add-bundle input[type=file]", bundle)
        await page.until(f"{chosen} === 'bundles/learnt'")
        assert not await page.run("document.querySelector('.add-bundle').open")
        await page.click("button.main")
        seen = await finished(page)
        # What nobody has trained may well bring nothing; then it says so, and writes nothing.
        assert "Download the corrected file" in seen or "best left alone" in seen
        await page.click(".row a.button")  # what was asked, to be changed
        await page.until("!!document.querySelector('form')")
        assert await page.run(chosen) == "bundles/learnt"

    browse(tmp_path / "bench", a_visit)


@pytest.mark.slow
def test_a_stranger_gets_from_a_part_to_a_bundle_to_a_corrected_file(tmp_path, pictures):
    folder = with_part(tmp_path / "bench", layers=4)

    async def a_visit(page, base):
        await page.open(f"{base}/learn")
        await page.fill("name", "mine")
        await page.fill("printer", "ender3_v2")
        await page.fill("gcode", "part.gcode")
        await page.fill("layers", "all")
        await page.fill("effort", "try")
        await look(page, pictures, "learn_form")
        await page.click("button.main")
        await page.until("!!document.querySelector('.losses:not([hidden])')")
        await look(page, pictures, "learn_under_way")
        assert "The bundle bundles/mine is written" in await finished(page)
        await look(page, pictures, "learnt")
        await page.click(".outcome a.button")
        await page.until("!!document.querySelector('form')")
        await page.fill("gcode", "part.gcode")
        await page.fill("layers", "2")
        await page.until(
            "document.querySelector('.line pre').textContent.includes('trajerr.correct')"
        )
        await look(page, pictures, "correct_form")
        await page.click("button.main")
        await finished(page)
        await look(page, pictures, "corrected")

    browse(folder, a_visit)


def test_what_is_wrong_is_said_beside_the_button(tmp_path, pictures):
    folder = with_part(tmp_path / "bench")
    (folder / "cube.gcode").write_bytes(b"solid cube\n")

    async def a_visit(page, base):
        await page.open(f"{base}/correct")
        await page.click("button.main")
        said = await page.until("document.querySelector('.said').innerText")
        assert said == "G-code file: nothing is given, expected a file"
        await page.open(f"{base}/file?gcode=cube.gcode&printer=ender3_v2")
        await page.click("button.main")
        await page.until("!!document.querySelector('[data-work]')")
        await page.until(ENDED)
        said = await page.run("document.querySelector('.state').innerText")
        assert "an STL model, expected the G-code" in said
        await look(page, pictures, "failed")

    async def with_a_refusal(page, base):
        await a_visit(page, base)
        # The browser itself notes the refused order on its console.
        page.faults = [fault for fault in page.faults if "400" not in fault]

    browse(folder, with_a_refusal)


def test_all_can_be_done_by_the_keyboard(tmp_path):
    folder = with_part(tmp_path / "bench")

    async def a_visit(page, base):
        await page.open(f"{base}/file")
        reached = set()
        for _ in range(20):
            await page.call(
                "Input.dispatchKeyEvent",
                type="keyDown",
                key="Tab",
                code="Tab",
                windowsVirtualKeyCode=9,
            )
            await page.call(
                "Input.dispatchKeyEvent",
                type="keyUp",
                key="Tab",
                code="Tab",
                windowsVirtualKeyCode=9,
            )
            reached.add(
                await page.run(
                    "(({name, type, tagName}) => name || type || tagName)(document.activeElement)"
                )
            )
        assert {"gcode", "file", "printer", "bundle", "submit", "A"} <= reached

    browse(folder, a_visit)
