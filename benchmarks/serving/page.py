"""Time the page in a real browser: until it shows something useful, until the first preview.

    python -m benchmarks page [--figures docs/images]

With `--figures` the screenshots of docs/web.md are written as well.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright

from aleph.photo.pixels import encode_image
from aleph.pictures import group, group_damage
from benchmarks.options import options_parser
from benchmarks.serving.served import serving

CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
DESKTOP, PHONE = (1280, 800), (390, 844)
PAINTED = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
FIRST_PREVIEW = """new Promise(resolve => {
    const draw = OffscreenCanvasRenderingContext2D.prototype;
    const original = draw.drawImage, began = performance.now();
    draw.drawImage = function(...given) {
        original.apply(this, given);
        if (!(given[0] instanceof HTMLImageElement)) return;
        draw.drawImage = original;
        resolve(performance.now() - began);
    };
    document.getElementById("fill").click();
})"""


def open_page(browser: Browser, address: str, size: tuple[int, int], dark: bool = False) -> Page:
    """Open the page in a window of this size and wait for its samples."""
    page = browser.new_page(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if dark else "light",
        device_scale_factor=1 if size == DESKTOP else 2,
        has_touch=size == PHONE,
    )
    page.on("console", lambda message: print("  console:", message.text, file=sys.stderr))
    page.on("pageerror", lambda error: print("  error:", error, file=sys.stderr))
    page.goto(address)
    page.wait_for_selector("#samples button:nth-child(3)")
    return page


def open_sample(page: Page, number: int) -> None:
    """Open a sample with its hole."""
    page.click(f"#samples button:nth-child({number})")
    page.wait_for_selector("#fill:enabled")


def drag_border(page: Page, way: tuple[int, int], by: int) -> None:
    """Drag a border of the landscape outwards, by so many pixels of the window."""
    box = page.locator("#canvas").bounding_box()
    assert box is not None
    width, height = map(int, page.inner_text("#extend-size").split(" pixels")[0].split(" × "))
    scale = min((box["width"] - 48) / width, (box["height"] - 48) / height) / 1.6
    x = box["x"] + box["width"] / 2 + way[0] * scale * width / 2
    y = box["y"] + box["height"] / 2 + way[1] * scale * height / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + way[0] * by, y + way[1] * by, steps=5)
    page.mouse.up()
    page.mouse.move(5, 5)
    page.wait_for_timeout(300)


def open_group(page: Page) -> None:
    """Open the group photograph of docs/photos.md with its damage and wait for its faces."""
    image, hole = group(), group_damage()
    mask = np.repeat(hole[:, :, None], 3, 2).astype(np.uint8) * np.uint8(255)
    for field, pixels in (("#file", image), ("#mask-file", mask)):
        data = encode_image(pixels, ".png")
        page.set_input_files(field, {"name": "group.png", "mimeType": "image/png", "buffer": data})
        page.wait_for_timeout(500)
    until(page, "/[1-9] faces? found/.test(document.getElementById('faces-note').textContent)")
    page.wait_for_timeout(200)


def until(page: Page, condition: str) -> None:
    """Wait; Playwright's own way evaluates strings inside the page, which its policy forbids."""
    while not page.evaluate(condition):
        page.wait_for_timeout(20)


def wait_for_fill(page: Page) -> None:
    """Wait until the search is over and its thumbnails are there."""
    page.wait_for_selector("body[data-state=filled]", timeout=900_000)
    until(page, "[...document.images].every(i => i.complete && i.naturalWidth)")
    page.wait_for_timeout(200)


def measure(browser: Browser, address: str) -> None:
    """Print the times."""
    for attempt in ("cold", "warm"):
        page = open_page(browser, address, DESKTOP)
        print(f"first paint, {attempt}: {page.evaluate(PAINTED):.0f} ms")
        open_sample(page, 1)
        print(f"first preview, {attempt}: {page.evaluate(FIRST_PREVIEW):.0f} ms")
        wait_for_fill(page)
        page.close(run_before_unload=False)


def draw_figures(browser: Browser, address: str, folder: Path) -> None:
    """Write the screenshots."""

    def shoot(page: Page, name: str) -> None:
        page.screenshot(path=folder / f"web-{name}.jpg", quality=85)

    page = open_page(browser, address, DESKTOP)
    page.wait_for_timeout(300)
    shoot(page, "start")
    open_sample(page, 1)
    page.click("#fill")
    until(page, "document.getElementById('progress').value > 0.3")
    shoot(page, "search")
    wait_for_fill(page)
    page.fill("#compare", "50")
    page.mouse.move(5, 5)
    shoot(page, "desktop")

    page = open_page(browser, address, DESKTOP)
    open_sample(page, 3)
    page.click("[data-tool=extend]")
    drag_border(page, (-1, 0), 90)
    drag_border(page, (0, -1), 60)
    shoot(page, "extend")

    page = open_page(browser, address, DESKTOP)
    open_group(page)
    page.mouse.move(5, 5)
    shoot(page, "faces")

    page = open_page(browser, address, DESKTOP, dark=True)
    open_sample(page, 2)
    page.click("#options summary")
    page.check("#show-weights")
    page.hover("#canvas", position={"x": 380, "y": 250})
    page.wait_for_timeout(1000)
    shoot(page, "dark")

    page = open_page(browser, address, PHONE)
    open_sample(page, 2)
    page.click("#fill")
    wait_for_fill(page)
    shoot(page, "phone")


def main() -> None:
    """Measure, and draw the figures if asked to."""
    parser = options_parser(__doc__, data=False)
    parser.add_argument("--figures", type=Path, help="folder to write the screenshots to")
    folder = parser.parse_args().figures
    with serving() as (address, _), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        measure(browser, address)
        if folder:
            draw_figures(browser, address, folder)
        browser.close()
