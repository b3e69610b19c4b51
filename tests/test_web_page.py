"""The page, in a real browser."""

from __future__ import annotations

import base64
import io
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

pytest.importorskip("fastapi", reason="the extra 'web' is not installed")
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from aleph.arrays import Region  # noqa: E402
from aleph.damage import tiles  # noqa: E402
from aleph.damage.auto import with_rim  # noqa: E402
from aleph.masks.read import widened  # noqa: E402
from aleph.pictures import cracks, old_print, paper_through, portrait  # noqa: E402
from aleph.web.app import create_app  # noqa: E402
from aleph.web.engine import Engine  # noqa: E402
from aleph.web.folder import PhotoFolder  # noqa: E402
from aleph.web.guard import Door  # noqa: E402
from aleph.web.limits import Limits  # noqa: E402
from conftest import make_model  # noqa: E402
from helpers import KINDS, TOKEN, noise, serving  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page, Route, ViewportSize

    Visit = Callable[..., Page]

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
SIDE = 48
NOTE_FORMS = """
    const send = window.fetch;
    window.forms = [];
    window.fetch = (address, options = {}) => {
        if (options.body instanceof FormData) {
            const fields = [...options.body].filter(([, value]) => typeof value === "string");
            window.forms.push([String(address), fields]);
        }
        return send(address, options);
    };
"""

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="needs chromium in /usr/bin")


@pytest.fixture(scope="module")
def address(tiny_folder: Path) -> Iterator[str]:
    """A server that demands a token."""
    web = create_app(Engine("cpu", str(tiny_folder)), Door(token=TOKEN))
    with serving(web.app) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Browser, address: str) -> Iterator[Visit]:
    """Opens the page; fails on errors in it and on requests to other hosts."""
    contexts: list[BrowserContext] = []
    errors: list[str] = []
    hosts: set[str] = set()

    def visit(width: int = 1000, height: int = 700, touch: bool = False) -> Page:
        size: ViewportSize = {"width": width, "height": height}
        context = browser.new_context(viewport=size, has_touch=touch, is_mobile=touch)
        contexts.append(context)
        context.add_init_script(NOTE_FORMS)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
        return page

    yield visit
    assert not errors
    # What the page itself made (data:, blob:) has no host.
    assert {host.partition(":")[0] for host in hosts - {""}} <= {"127.0.0.1"}
    for context in contexts:
        context.close()


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(noise(SIDE, SIDE)).save(path)
    return path


@pytest.fixture
def page(visit: Visit, address: str, photo: Path) -> Page:
    """The page with a picture open."""
    page = visit()
    enter(page, address)
    open_photo(page, photo)
    return page


def enter(page: Page, address: str) -> None:
    page.goto(f"{address}#token={TOKEN}")
    page.wait_for_selector("#samples button:nth-child(3)")
    assert TOKEN not in page.url


def until(page: Page, condition: str) -> None:
    """Wait; Playwright's own way evaluates strings inside the page, which its policy forbids."""
    for _ in range(400):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    raise AssertionError(condition)


def settled(page: Page) -> None:
    """Wait until everything that was made is kept by the browser."""
    page.wait_for_selector("body:not([data-unkept])")


def open_photo(page: Page, path: Path) -> None:
    page.set_input_files("#file", path)
    page.wait_for_selector("body[data-state=painting]")


def drag(page: Page, start: tuple[float, float], stop: tuple[float, float]) -> None:
    """Drag from one point of the canvas to another, both as shares of it from its centre."""
    box = page.locator("#canvas").bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    side = min(box["width"], box["height"])
    page.mouse.move(middle[0] + start[0] * side, middle[1] + start[1] * side)
    page.mouse.down()
    page.mouse.move(middle[0] + stop[0] * side, middle[1] + stop[1] * side, steps=5)
    page.mouse.up()


def saved(page: Page, button: str) -> bytes:
    with page.expect_download() as download:
        page.click(button)
    return Path(download.value.path()).read_bytes()


def hole(page: Page) -> NDArray[np.bool_]:
    """Return the hole as the page saves it: bool (H, W)."""
    mask = Image.open(io.BytesIO(saved(page, "#save-mask"))).convert("L")
    return np.asarray(np.asarray(mask) == 255)


def choose(page: Page, preset: str, candidates: int = 2) -> None:
    if not page.is_visible("#count"):
        page.click("#options summary")
    page.select_option("#preset", preset)
    page.fill("#count", str(candidates))


def test_painting_and_going_back(page: Page) -> None:
    assert page.is_disabled("#fill")
    drag(page, (-0.2, 0), (0.2, 0))
    stroke = hole(page)
    assert stroke.shape == (SIDE, SIDE)
    assert stroke[SIDE // 2, SIDE // 2] and not stroke[4, 4]
    page.keyboard.press("e")
    drag(page, (0, -0.2), (0, 0.2))
    erased = hole(page)
    assert not erased[SIDE // 2, SIDE // 2]
    assert not (erased & ~stroke).any()
    page.keyboard.press("Control+z")
    assert np.array_equal(hole(page), stroke)
    page.keyboard.press("Control+Shift+Z")
    assert np.array_equal(hole(page), erased)
    page.click("#invert")
    assert np.array_equal(hole(page), ~erased)
    page.click("#clear")
    assert not hole(page).any()
    page.keyboard.press("r")
    drag(page, (-0.1, -0.1), (0.1, 0.1))
    rows, columns = np.nonzero(hole(page))
    assert hole(page).sum() == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)


def test_the_wheel_zooms_at_the_cursor_and_the_space_bar_pans(page: Page) -> None:
    box = page.locator("#canvas").bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(middle[0] + 100, middle[1])
    page.mouse.wheel(0, -600)
    page.keyboard.down("Space")
    page.mouse.down()
    page.mouse.move(*middle, steps=3)
    page.mouse.up()
    page.keyboard.up("Space")
    page.fill("#size", "0")
    page.mouse.click(*middle)
    page.wait_for_selector("#undo:enabled")
    rows, columns = np.nonzero(hole(page))
    # The point that lay 100 CSS pixels right of the middle: the picture was shown 600 or so wide.
    scale = (min(box["width"], box["height"]) - 48) / SIDE
    assert abs(columns.mean() + 0.5 - (SIDE / 2 + 100 / scale)) < 1.5
    assert abs(rows.mean() + 0.5 - SIDE / 2) < 1.5


def test_a_hole_is_painted_by_keyboard_alone(page: Page) -> None:
    page.focus("#canvas")
    for key in ("Enter", "ArrowRight", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    assert hole(page)[SIDE // 2, SIDE // 2 + 1]


def test_a_fill_is_what_the_api_gives(page: Page, address: str, tmp_path: Path) -> None:
    drag(page, (-0.15, 0), (0.15, 0.1))
    mask = saved(page, "#save-mask")
    choose(page, "fast")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("body[data-state=filled]")
    assert page.locator("#candidates button").count() == 2
    page.click("#candidates button:nth-child(2)")
    page.wait_for_selector("#candidates button:nth-child(2)[aria-checked=true]")
    second = saved(page, "#save")
    page.keyboard.press("Control+z")
    page.wait_for_selector("#candidates button:nth-child(1)[aria-checked=true]")
    first = saved(page, "#save")
    assert first != second
    model = page.input_value("#model")
    answer = httpx.post(
        f"{address}api/v1/inpaint",
        files={"image": (tmp_path / "photo.png").read_bytes(), "mask": mask},
        data={"preset": "fast", "candidates": "2", "seed": "0", "model": model},
        headers={"Authorization": f"Bearer {TOKEN}"},
        timeout=60,
    )
    assert answer.content == first
    assert saved(page, "#save-animation")[:4] == b"GIF8"
    page.click("#more")
    page.wait_for_selector("#candidates button:nth-child(4)")
    for _ in range(2):
        page.click("#undo")
    page.wait_for_selector("body[data-state=painting]")
    assert np.array_equal(hole(page), np.asarray(Image.open(io.BytesIO(mask)).convert("L")) == 255)


def test_a_search_is_watched_and_cancelled(page: Page) -> None:
    drag(page, (-0.2, 0), (0.2, 0))
    choose(page, "yeh2017", candidates=12)
    page.mouse.move(2, 2)
    page.click("#fill")
    page.wait_for_selector("#progress[value]")
    seen = {page.locator("#canvas").screenshot()}
    for _ in range(50):
        if len(seen) > 2:
            break
        page.wait_for_timeout(100)
        seen.add(page.locator("#canvas").screenshot())
    assert len(seen) > 2
    page.click("#cancel")
    page.wait_for_selector("body[data-state=painting]")
    assert page.inner_text("#problem") == ""
    assert page.is_enabled("#fill")


def test_painting_on_a_fill_begins_the_next_hole(page: Page) -> None:
    drag(page, (-0.2, 0), (0.2, 0))
    choose(page, "fast", candidates=1)
    page.click("#fill")
    page.wait_for_selector("body[data-state=filled]")
    first = np.asarray(Image.open(io.BytesIO(saved(page, "#save"))))
    page.keyboard.press("b")
    drag(page, (-0.2, 0.3), (0.2, 0.3))
    page.wait_for_selector("body[data-state=painting]")
    mask = hole(page)
    page.click("#fill")
    page.wait_for_selector("body[data-state=filled]")
    second = np.asarray(Image.open(io.BytesIO(saved(page, "#save"))))
    assert np.array_equal(first[~mask], second[~mask])
    assert not np.array_equal(first[mask], second[mask])


def test_what_is_no_picture_is_refused_in_a_sentence(page: Page, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    page.set_input_files("#file", tmp_path / "text.png")
    page.wait_for_selector("#problem:not(:empty)")
    assert "not a picture" in page.inner_text("#problem")


def touch(page: Page, *positions: list[tuple[float, float]]) -> None:
    """Put fingers down at the first positions, move them through the others, lift them."""
    session = page.context.new_cdp_session(page)

    def send(kind: str, points: list[tuple[float, float]]) -> None:
        fingers = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})

    first = positions[0]
    for count in range(1, len(first) + 1):
        send("touchStart", first[:count])
    for points in positions[1:]:
        send("touchMove", points)
    send("touchEnd", [])
    session.detach()


def test_on_a_phone_one_finger_paints_and_two_move_the_view(
    visit: Visit, address: str, photo: Path
) -> None:
    page = visit(390, 844, touch=True)
    enter(page, address)
    open_photo(page, photo)
    box = page.locator("#canvas").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.fill("#size", "0")
    touch(page, [(x - 60, y)], [(x, y)], [(x + 60, y)])
    stroke = hole(page)
    width = np.ptp(np.nonzero(stroke)[1])
    assert stroke[SIDE // 2].any()
    touch(page, [(x - 40, y), (x + 40, y)], [(x - 60, y), (x + 60, y)], [(x - 80, y), (x + 80, y)])
    assert np.array_equal(hole(page), stroke)
    page.click("#clear")
    touch(page, [(x - 60, y)], [(x, y)], [(x + 60, y)])
    assert np.ptp(np.nonzero(hole(page))[1]) == pytest.approx(width / 2, abs=1)
    page.click("#clear")
    touch(page, [(x, y - 40), (x, y + 40)], [(x, y), (x, y + 80)], [(x, y + 40), (x, y + 120)])
    touch(page, [(x, y + 80)], [(x + 2, y + 80)])
    rows = np.nonzero(hole(page))[0]
    assert rows.mean() + 0.5 == pytest.approx(SIDE / 2, abs=1)


def test_on_a_phone_everything_is_within_reach(visit: Visit, address: str, photo: Path) -> None:
    page = visit(390, 844, touch=True)
    enter(page, address)
    open_photo(page, photo)
    beyond = page.evaluate(
        """[...document.querySelectorAll("body *")].filter(
            one => one.getBoundingClientRect().right > innerWidth
        ).map(one => one.outerHTML)"""
    )
    assert beyond == []
    assert page.locator("#canvas").bounding_box()["height"] > 844 * 0.4
    for name in ("#fill", "#save", "#undo", "button[data-tool=brush]", "button[data-tool=hand]"):
        box = page.locator(name).bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 390
        assert box["y"] >= 0 and box["y"] + box["height"] <= 844
        assert box["height"] >= 40


DROP = """([bytes, name]) => {
    const files = new DataTransfer();
    files.items.add(new File([Uint8Array.from(bytes)], name, { type: "image/png" }));
    const options = { bubbles: true, cancelable: true };
    const drop = new DragEvent("drop", { ...options, dataTransfer: files });
    const paste = new ClipboardEvent("paste", { ...options, clipboardData: files });
    document.body.dispatchEvent(name === "dropped.png" ? drop : paste);
}"""


@pytest.mark.parametrize("name", ["dropped.png", "pasted.png"])
def test_a_picture_is_opened_by_dropping_and_by_pasting_it(
    name: str, visit: Visit, address: str, photo: Path
) -> None:
    page = visit()
    enter(page, address)
    page.evaluate(DROP, [list(photo.read_bytes()), name])
    page.wait_for_selector("body[data-state=painting]")
    assert page.inner_text("#file-name") == name
    drag(page, (-0.1, 0), (0.1, 0))
    assert hole(page).shape == (SIDE, SIDE)


def test_a_photo_is_mended_by_keyboard_alone(visit: Visit, address: str, photo: Path) -> None:
    page = visit()
    page.on("filechooser", lambda chooser: None)  # asked for early: it must not come too late
    enter(page, address)
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Control+o")
    chooser.value.set_files(photo)
    page.wait_for_selector("body[data-state=painting]")
    # The picture has the focus: the brush is put down, moved and lifted.
    for key in ("]", "]", "Enter", "ArrowRight", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    page.wait_for_selector("#fill:enabled")
    page.focus("#preset")
    page.keyboard.press("q")
    assert page.input_value("#preset") == "fast"
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("body[data-state=filled]")
    page.focus("#candidates [aria-checked=true]")
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("#candidates button:nth-child(2)[aria-checked=true]:focus")
    with page.expect_download() as download:
        page.keyboard.press("Control+s")
    with Image.open(download.value.path()) as saved:
        assert saved.size == (SIDE, SIDE)


def test_everything_that_can_be_used_has_a_name(page: Page) -> None:
    for summary in page.locator("summary").all():
        summary.click()
    unnamed = page.evaluate(
        """[...document.querySelectorAll("button, select, input, progress, canvas")].filter(one =>
            !one.closest("[hidden], #samples") && one.type !== "file" &&
            !one.ariaLabel && !one.labels?.length && !one.textContent.trim()
        ).map(one => one.outerHTML)"""
    )
    assert unnamed == []


EYES = ((0.33, 0.32), (0.67, 0.32))
WIDE, HIGH = 72, 48


@pytest.fixture
def framed(visit: Visit, address: str, tmp_path: Path) -> Page:
    """The page with a picture that is not square, in which the server has found one face."""
    page = visit()
    found = {
        **{"x": 36, "y": 24, "side": 20, "angle": 0, "score": 0.9},
        **{"corners": [[26, 14], [46, 14], [46, 34], [26, 34]]},
        **{"eyes": [[26 + 20 * u, 14 + 20 * v] for u, v in EYES]},
    }

    def offer(route: Route) -> None:
        models = route.fetch().json()
        route.fulfill(json={**models, "frames": True, "frame_eyes": EYES})

    page.route("**/api/v1/models", offer)
    page.route("**/api/v1/frames", lambda route: route.fulfill(json=[found]))
    enter(page, address)
    Image.fromarray(noise(HIGH, WIDE)).save(tmp_path / "wide.png")
    open_photo(page, tmp_path / "wide.png")
    assert "will be found" in page.inner_text("#faces-note")
    drag(page, (-0.1, 0), (0.1, 0))
    page.wait_for_selector("#faces-note:text('1 face found')")
    return page


def place(page: Page, x: float, y: float) -> tuple[float, float]:
    """Return where a point of the wide picture, shown whole, lies in the window."""
    box = page.locator("#canvas").bounding_box()
    scale = min((box["width"] - 48) / WIDE, (box["height"] - 48) / HIGH)
    across, down = (x - WIDE / 2) * scale, (y - HIGH / 2) * scale
    return box["x"] + box["width"] / 2 + across, box["y"] + box["height"] / 2 + down


def pull(page: Page, start: tuple[float, float], stop: tuple[float, float]) -> None:
    page.mouse.move(*place(page, *start))
    page.mouse.down()
    page.mouse.move(*place(page, *stop), steps=4)
    page.mouse.up()


def told_eyes(page: Page) -> list[list[float]]:
    """Press Fill and return the eyes that the page sends; the server refuses."""
    refusal = {"status": 422, "json": {"detail": "refused by the test"}}
    page.route("**/api/v1/inpaint*", lambda route: route.fulfill(**refusal))
    page.click("#fill")
    page.wait_for_selector("#problem:text('refused by the test')")
    fields = page.evaluate("window.forms.at(-1)")[1]
    return [[float(word) for word in value.split(",")] for name, value in fields if name == "eyes"]


def eyes_of(x: float, y: float, side: float) -> list[float]:
    return [number for u, v in EYES for number in (x + (u - 0.5) * side, y + (v - 0.5) * side)]


def test_found_faces_are_left_to_the_server_until_they_are_changed(framed: Page) -> None:
    assert told_eyes(framed) == []
    framed.keyboard.press("f")
    pull(framed, (36, 24), (46, 20))
    assert told_eyes(framed)[0] == pytest.approx(eyes_of(46, 20, 20), abs=0.3)
    pull(framed, (56, 30), (61, 35))
    assert told_eyes(framed)[0] == pytest.approx(eyes_of(46, 20, 30), abs=0.3)
    framed.keyboard.press("Control+z")
    framed.keyboard.press("Control+z")
    assert told_eyes(framed) == []
    # The cross at the upper right corner takes it away.
    framed.mouse.click(*place(framed, 46, 14))
    framed.wait_for_selector("#faces-note:text('No faces marked')")
    framed.click("#find-faces")
    framed.wait_for_selector("#faces-note:text('1 face found')")


def test_a_face_is_marked_by_clicking_its_eyes(framed: Page) -> None:
    framed.click("button[data-tool=faces]")
    # The right eye first, and outside the frame that was found.
    framed.mouse.click(*place(framed, 66, 13))
    framed.mouse.click(*place(framed, 60, 10))
    framed.wait_for_selector("#faces-note:text('2 faces marked')")
    found, marked = told_eyes(framed)
    assert found == pytest.approx(eyes_of(36, 24, 20), abs=0.3)
    assert marked == pytest.approx([60, 10, 66, 13], abs=0.3)
    # Two clicks inside a frame that was found replace it.
    framed.mouse.click(*place(framed, 33, 20))
    framed.mouse.click(*place(framed, 41, 20))
    assert told_eyes(framed)[1] == pytest.approx([33, 20, 41, 20], abs=0.3)


def test_previews_are_drawn_where_their_frames_lie(framed: Page, tmp_path: Path) -> None:
    """A red preview turned by 45° about the middle of the picture, in a hole beyond it."""
    framed.keyboard.press("r")
    pull(framed, (6, 6), (66, 42))
    rows, columns = np.nonzero(hole(framed))
    assert hole(framed).shape == (HIGH, WIDE)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (6, 41, 6, 65)
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), (255, 0, 0)).save(buffer, "PNG")
    preview = {
        "image": f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}",
        "corners": [[36, 9], [51, 24], [36, 39], [21, 24]],
    }
    step = json.dumps({"step": 1, "steps": 9, "loss": 0.5, "previews": [preview]})
    events = f"id: 0\nevent: step\ndata: {step}\n\n"
    framed.route("**/api/v1/inpaint*", lambda route: route.fulfill(status=202, json={"id": "stub"}))
    asked: list[Route] = []

    def follow(route: Route) -> None:
        """Answer once; after that nothing more happens."""
        if not asked:
            route.fulfill(body=events, content_type="text/event-stream")
        asked.append(route)

    framed.route("**/api/v1/jobs/stub/events", follow)
    framed.route("**/api/v1/jobs/stub", lambda route: route.fulfill(status=204))
    framed.click("#fill")
    framed.wait_for_selector("#status:text('11 %')")
    framed.mouse.move(5, 5)

    def is_red(x: float, y: float) -> bool:
        shown = np.asarray(Image.open(io.BytesIO(framed.screenshot())).convert("RGB"))
        across, down = place(framed, x, y)
        return bool((shown[round(down), round(across)] == (255, 0, 0)).all())

    for _ in range(100):
        if is_red(36, 24):
            break
        framed.wait_for_timeout(50)
    assert [is_red(36, y) for y in (11, 37)] == [True, True]
    assert [is_red(x, 24) for x in (23, 49)] == [True, True]
    # Within the box around the frame, but outside it.
    assert not any(is_red(x, y) for x in (24, 48) for y in (12, 36))
    framed.click("#cancel")
    framed.wait_for_selector("body[data-state=painting]")


# ---- nothing that was made is lost


def fill(page: Page, candidates: int = 2) -> None:
    """Paint, and fill it quickly."""
    drag(page, (-0.2, 0), (0.2, 0.05))
    choose(page, "fast", candidates)
    page.click("#fill")
    page.wait_for_selector("body[data-state=filled]")


def shown(page: Page, x: float, y: float) -> tuple[int, ...]:
    """The colour on the screen at a place of the square picture, as shares of its sides."""
    box = page.locator("#canvas").bounding_box()
    side = min(box["width"], box["height"]) - 48
    place = [
        round(box[corner] + box[length] / 2 + (share - 0.5) * side)
        for corner, length, share in (("x", "width", x), ("y", "height", y))
    ]
    pixel: tuple[int, ...] = (
        Image.open(io.BytesIO(page.screenshot())).convert("RGB").getpixel(tuple(place))
    )
    return pixel


def test_what_was_made_survives_a_reload(page: Page) -> None:
    drag(page, (-0.2, 0), (0.2, 0))
    page.keyboard.press("r")
    drag(page, (-0.1, 0.2), (0.1, 0.3))
    painted = hole(page)
    page.fill("#count", "3") if page.is_visible("#count") else choose(page, "fast", 3)
    settled(page)
    page.reload()
    page.wait_for_selector("body[data-state=painting]")
    assert np.array_equal(hole(page), painted)
    assert page.inner_text("#file-name") == "photo.png"
    until(page, "document.getElementById('preset').value === 'fast'")
    assert page.input_value("#count") == "3"


def test_results_are_there_without_the_server(visit: Visit, tiny_folder: Path, photo: Path) -> None:
    """The server ends, the page is still there; a new server at the address: so is the work."""
    web = create_app(Engine("cpu", str(tiny_folder)), Door(token=TOKEN))
    page = visit()
    with serving(web.app) as first:
        enter(page, first)
        open_photo(page, photo)
        fill(page)
        second = page.locator("#candidates button:nth-child(2)")
        settled(page)
        result = saved(page, "#save")
        port = urlsplit(first).port
    assert saved(page, "#save") == result
    second.click()
    page.wait_for_selector("#candidates button:nth-child(2)[aria-checked=true]")
    other = saved(page, "#save")
    assert other != result
    settled(page)
    with serving(create_app(Engine("cpu", str(tiny_folder)), Door(token=TOKEN)).app, port):
        page.reload()
        page.wait_for_selector("body[data-state=filled]")
        page.wait_for_selector("#candidates button:nth-child(2)[aria-checked=true]")
        assert saved(page, "#save") == other


@pytest.mark.parametrize("answer", ["stay", "leave"])
def test_another_photo_is_opened_only_when_that_is_wanted(
    answer: str, page: Page, photo: Path
) -> None:
    drag(page, (-0.2, 0), (0.2, 0))
    painted = hole(page)
    page.evaluate(DROP, [list(photo.read_bytes()), "pasted.png"])
    page.wait_for_selector("#ask[open]")
    page.click(f"#ask button[value={answer}]")
    name = "photo.png" if answer == "stay" else "pasted.png"
    page.wait_for_selector(f"#file-name:text-is('{name}')")
    assert np.array_equal(hole(page), painted) == (answer == "stay")


def test_nothing_is_asked_where_nothing_would_be_lost(page: Page, photo: Path) -> None:
    fill(page)
    saved(page, "#save")
    page.evaluate(DROP, [list(photo.read_bytes()), "pasted.png"])
    page.wait_for_selector("#file-name:text-is('pasted.png')")


def test_another_tab_can_go_on(page: Page, address: str) -> None:
    drag(page, (-0.2, 0), (0.2, 0))
    painted = hole(page)
    settled(page)
    other = page.context.new_page()
    other.goto(f"{address}#token={TOKEN}")
    other.click("#left button >> text=photo.png")
    other.wait_for_selector("body[data-state=painting]")
    assert np.array_equal(hole(other), painted)


# ---- extending

ROOM = 1.6  # a photo that is extended leaves room around it: 0.3 of its side at each


def border(page: Page, width: int = SIDE) -> tuple[float, float, float]:
    """Return a picture's middle on the screen and the CSS pixels that one of its pixels takes."""
    box = page.locator("#canvas").bounding_box()
    scale = min((box["width"] - 48) / width, (box["height"] - 48) / SIDE) / ROOM
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, scale


def drag_border(page: Page, way: tuple[int, int], pixels: int, width: int = SIDE) -> None:
    """Drag a border, or a corner, of the picture outwards."""
    x, y, scale = border(page, width)
    start = x + way[0] * scale * width / 2, y + way[1] * scale * SIDE / 2
    page.mouse.move(*start)
    page.mouse.down()
    by = pixels * scale
    page.mouse.move(start[0] + way[0] * by, start[1] + way[1] * by, steps=3)
    page.mouse.up()


def extension(page: Page) -> list[str]:
    return [page.input_value(f"#extend-{side}") for side in ("left", "top", "right", "bottom")]


def opened_png(data: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def test_the_border_is_dragged_and_what_is_new_is_filled(page: Page, photo: Path) -> None:
    page.keyboard.press("x")
    assert page.is_disabled("#fill")
    drag_border(page, (-1, 0), 12)
    assert extension(page) == ["12", "0", "0", "0"]
    assert page.inner_text("#extend-size") == "60 × 48 pixels"
    beyond = hole(page)
    assert beyond.shape == (SIDE, SIDE + 12) and beyond[:, :12].all() and not beyond[:, 12:].any()
    choose(page, "fast")
    page.click("#fill")
    page.wait_for_selector("body[data-state=filled]")
    wide = opened_png(saved(page, "#save"))
    assert wide.shape == (SIDE, SIDE + 12, 3)
    assert np.array_equal(wide[:, 12:], opened_png(photo.read_bytes()))
    # Nobody expects a face beyond the border: that none was found is no news.
    assert page.inner_text("#problem") == ""
    assert "face" not in page.inner_text("#share")
    # The same once more, on the result.
    page.keyboard.press("x")
    drag_border(page, (-1, 0), 12, SIDE + 12)
    page.wait_for_selector("body[data-state=painting]")
    again = hole(page)
    assert again.shape == (SIDE, SIDE + 24) and again.sum() == 12 * SIDE
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    page.wait_for_selector("body[data-state=filled]")
    page.keyboard.press("Control+z")
    page.wait_for_selector("body[data-state=painting]")
    page.keyboard.press("Control+z")
    assert page.inner_text("#extend-size") == "48 × 48 pixels"
    assert hole(page).shape == (SIDE, SIDE)


def test_what_is_painted_stays_in_its_place_when_the_photo_is_extended(
    page: Page, photo: Path
) -> None:
    drag(page, (-0.1, 0), (0.1, 0))
    painted = hole(page)
    page.click("[data-tool=extend]")
    drag_border(page, (1, 1), 6)
    assert extension(page) == ["0", "0", "6", "6"]
    drag_border(page, (-1, 0), 4, SIDE + 6)
    wide = hole(page)
    assert wide.shape == (SIDE + 6, SIDE + 10)
    assert np.array_equal(wide[:SIDE, 4 : 4 + SIDE], painted)
    # What is beyond the photo cannot be known: it stays selected, whatever is done.
    page.click("#invert")
    page.click("#shrink")
    page.click("#clear")
    beyond = hole(page)
    assert beyond.sum() == beyond.size - SIDE * SIDE
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    assert np.array_equal(hole(page), wide)
    settled(page)
    page.reload()
    page.wait_for_selector("body[data-state=painting]")
    assert np.array_equal(hole(page), wide)
    choose(page, "fast", 1)
    page.click("#fill")
    page.wait_for_selector("body[data-state=filled]")
    filled = opened_png(saved(page, "#save"))
    assert filled.shape == (*wide.shape, 3)
    known = ~painted
    assert np.array_equal(filled[:SIDE, 4 : 4 + SIDE][known], opened_png(photo.read_bytes())[known])
    # On the result the next extension begins; the photo before lies where it lay.
    page.click("[data-tool=extend]")
    page.fill("#extend-top", "3")
    page.press("#extend-top", "Enter")
    page.wait_for_selector("body[data-state=painting]")
    assert hole(page).shape == (SIDE + 9, SIDE + 10)
    assert hole(page).sum() == 3 * (SIDE + 10)
    page.click("#fill")
    page.wait_for_selector("body[data-state=filled]")
    assert np.array_equal(opened_png(saved(page, "#save"))[3:], filled)


def test_the_photo_is_extended_by_keyboard_and_within_bounds(page: Page) -> None:
    page.keyboard.press("x")
    page.focus("#canvas")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("ArrowUp")
    assert extension(page) == ["0", "1", "2", "0"]
    assert "Top: 1 pixel." in page.inner_text("#status")
    page.fill("#extend-left", "1000")
    page.press("#extend-left", "Tab")
    assert extension(page) == [str(SIDE), "1", "2", "0"]
    page.click("[data-shape='16:9']")
    assert extension(page) == ["18", "0", "19", "0"]
    page.click("#extend-none")
    assert extension(page) == ["0"] * 4
    assert page.is_disabled("#fill")


def test_a_border_is_dragged_by_a_finger(visit: Visit, address: str, photo: Path) -> None:
    page = visit(390, 844, touch=True)
    enter(page, address)
    open_photo(page, photo)
    page.tap("[data-tool=extend]")
    box = page.locator("#canvas").bounding_box()
    scale = (min(box["width"], box["height"]) - 2 * min(24, box["width"] / 20)) / SIDE / ROOM
    x, y = box["x"] + box["width"] / 2 + scale * SIDE / 2, box["y"] + box["height"] / 2
    touch(page, [(x + 8, y)], [(x + 20, y)], [(x + 8 + 10 * scale, y)])
    assert extension(page) == ["0", "0", "10", "0"]


# ---- comparing


def test_the_slider_shows_before_at_before(page: Page, photo: Path) -> None:
    """The hole is filled by a stand-in of one colour; the photo there is known."""
    before = shown(page, 0.5, 0.5)
    fill(page)
    page.mouse.move(5, 5)
    after = shown(page, 0.5, 0.5)
    assert after != before
    page.fill("#compare", "0")
    assert shown(page, 0.5, 0.5) == before
    page.fill("#compare", "100")
    assert shown(page, 0.5, 0.5) == after
    # Dragging on the picture does the same: what is right of the pointer is before.
    for place, colour in ((0.3, after), (-0.3, before)):
        drag(page, (0, 0.3), (place, 0.3))
        page.mouse.move(5, 5)
        assert shown(page, 0.5, 0.5) == colour
    assert page.locator("#undo").is_enabled()
    assert page.evaluate("document.body.dataset.state") == "filled"


def test_results_are_shown_where_they_differ(page: Page) -> None:
    """Their small pictures show the hole, not the whole photo, and no frame is drawn over them."""
    fill(page)
    until(page, "[...document.querySelectorAll('#candidates img')].every(one => one.naturalWidth)")
    width = page.evaluate("document.querySelector('#candidates img').naturalWidth")
    assert SIDE * 0.4 < width < SIDE
    sources = page.eval_on_selector_all("#candidates img", "all => all.map(one => one.src)")
    assert len(set(sources)) == 2
    assert "surroundings" in page.inner_text("#share") or "the model" in page.inner_text("#share")


SPOT = (slice(150, 160), slice(40, 50))


def test_small_pictures_show_where_results_differ(
    visit: Visit, address: str, tmp_path: Path
) -> None:
    """They differ in one spot of a wide hole, by stand-ins; and then nowhere."""
    fills = np.full((2, 200, 200, 3), 90, np.uint8)
    fills[1][SPOT] = 220
    asked: list[tuple[int, ...]] = []

    def small(route: Route) -> None:
        query = dict(parse_qsl(urlsplit(route.request.url).query))
        left, top, right, bottom = area = tuple(map(int, query["area"].split(",")))
        asked.append(area)
        buffer = io.BytesIO()
        Image.fromarray(fills[int(query["candidate"]), top:bottom, left:right]).save(buffer, "PNG")
        route.fulfill(body=buffer.getvalue(), content_type="image/png")

    Image.fromarray(noise(200, 200)).save(tmp_path / "large.png")
    page = visit()
    page.route("**/api/v1/jobs/*/result?*side=*", small)
    enter(page, address)
    open_photo(page, tmp_path / "large.png")
    page.keyboard.press("r")
    drag(page, (-0.4, -0.4), (0.4, 0.4))
    choose(page, "fast")
    page.click("#fill")
    page.wait_for_selector("body[data-state=filled]")
    until(page, "[...document.querySelectorAll('#candidates img')].every(one => one.naturalWidth)")
    left, top, right, bottom = asked[-1]
    assert left <= 40 and right >= 50 and top <= 150 and bottom >= 160
    assert max(right - left, bottom - top) < 70
    assert "hardly differ" not in page.inner_text("#share")
    fills[1] = fills[0]
    page.click("#edit")
    page.click("#fill")
    page.wait_for_selector("#share:text('hardly differ')")


def test_more_variations_are_other_ones(visit: Visit, tmp_path: Path, photo: Path) -> None:
    """With an encoder the likeliest start is the same for every seed: it must not come twice."""
    folder = make_model(tmp_path / "model", KINDS["amortised"])
    page = visit()
    with serving(create_app(Engine("cpu", str(folder)), Door(token=TOKEN)).app) as here:
        enter(page, here)
        open_photo(page, photo)
        fill(page)
        page.click("#more")
        page.wait_for_selector("#candidates button:nth-child(4)")
        page.mouse.move(5, 5)
        third = shown(page, 0.5, 0.5)
        results = set()
        for number in range(1, 5):
            page.click(f"#candidates button:nth-child({number})")
            page.wait_for_selector(f"#candidates button:nth-child({number})[aria-checked=true]")
            results.add(saved(page, "#save"))
            page.mouse.move(5, 5)
            # The third was taken when it came: it was shown, not the photo before.
            assert (shown(page, 0.5, 0.5) == third) == (number == 3)
    assert len(results) == 4


# ---- words


def test_no_words_of_programs(page: Page) -> None:
    texts = page.evaluate(
        """[document.body.textContent, ...[...document.querySelectorAll("[title], [aria-label]")]
            .flatMap(one => [one.title, one.ariaLabel])].join(" ")"""
    )
    for word in ("--", "Python", "aleph serve", "mask is", "loss", "Seed", "preset"):
        assert word not in texts


def test_without_a_face_the_page_says_so_in_its_own_words(page: Page) -> None:
    def tell(route: Route) -> None:
        info = route.fetch().json()
        if info.get("report"):
            sentence = "no face was found; point at its eyes with --eyes (in Python: eyes=[…])"
            info = {**info, "warnings": [sentence], "report": {**info["report"], "frames": []}}
        route.fulfill(json=info)

    page.route("**/api/v1/jobs/*", tell)
    fill(page)
    said = page.inner_text("#share")
    assert "mark its two eyes" in said
    assert page.inner_text("#problem") == ""  # nothing is wrong: it is not told in red
    assert "--" not in said and "Python" not in said


def test_a_photo_that_is_too_large_is_refused_when_it_is_opened(
    visit: Visit, tiny_folder: Path, tmp_path: Path
) -> None:
    limits = Limits(pixels=1000)
    page = visit()
    Image.fromarray(noise(40, 40)).save(tmp_path / "large.png")
    with serving(create_app(Engine("cpu", str(tiny_folder)), limits=limits).app) as here:
        page.goto(here)
        page.wait_for_selector("#samples button:nth-child(3)")
        page.set_input_files("#file", tmp_path / "large.png")
        page.wait_for_selector("#problem:text('megapixels')")
        assert page.evaluate("document.body.dataset.state") == "empty"


def test_what_the_server_cannot_decode_is_refused_before_anyone_paints(
    visit: Visit, address: str, photo: Path
) -> None:
    page = visit()
    page.route(
        "**/api/v1/check",
        lambda route: route.fulfill(status=422, json={"detail": "the image is damaged"}),
    )
    enter(page, address)
    open_photo(page, photo)
    page.wait_for_selector("#problem:text('the image is damaged')")
    drag(page, (-0.1, 0), (0.1, 0))
    assert page.is_disabled("#fill")


def test_what_a_file_that_is_cut_short_lacks_is_selected(page: Page, tmp_path: Path) -> None:
    Image.fromarray(noise(64, 48)).save(tmp_path / "whole.jpg", quality=95)
    data = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(data[: len(data) // 2])
    open_photo(page, tmp_path / "cut.jpg")
    page.wait_for_selector("#file-note:text('It is cut short')")
    page.wait_for_selector("#fill:enabled")
    missing = hole(page)
    assert missing[-16:].all() and not missing[:8].any()
    # Nobody has made anything yet: another photo is opened without a question.
    page.evaluate(DROP, [list((tmp_path / "photo.png").read_bytes()), "pasted.png"])
    page.wait_for_selector("#file-name:text-is('pasted.png')")


def test_faces_are_not_missed_before_anyone_has_looked(framed: Page) -> None:
    """And a lookup that is out of date is cancelled."""
    cancelled: list[str] = []
    framed.on("requestfailed", lambda request: cancelled.append(request.url))
    waiting: list[Route] = []
    framed.unroute("**/api/v1/frames")
    framed.route("**/api/v1/frames", lambda route: waiting.append(route))
    framed.click("#clear")
    assert "No faces" not in framed.inner_text("#faces-note")
    pull(framed, (10, 10), (20, 20))
    assert "No faces" not in framed.inner_text("#faces-note")
    framed.wait_for_selector("#faces-note:text('Looking')")
    pull(framed, (30, 10), (40, 20))
    until(framed, "document.getElementById('faces-note').textContent.includes('will be')")
    for _ in range(100):
        if cancelled:
            break
        framed.wait_for_timeout(50)
    assert [url.rsplit("/", 1)[1] for url in cancelled] == ["frames"]


# ---- tools


def test_the_right_button_erases(page: Page) -> None:
    drag(page, (-0.2, 0), (0.2, 0))
    stroke = hole(page)
    box = page.locator("#canvas").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down(button="right")
    page.mouse.move(box["x"] + box["width"] / 2 + 2, box["y"] + box["height"] / 2)
    page.mouse.up(button="right")
    erased = hole(page)
    assert not erased[SIDE // 2, SIDE // 2]
    assert 0 < erased.sum() < stroke.sum()
    page.keyboard.press("Control+z")
    assert np.array_equal(hole(page), stroke)


WIDENED = """
    async ([pixels, width, height, distance]) => {
        const { widened } = await import("/widen.js");
        return [...widened(Uint8Array.from(pixels), width, height, distance)];
    }
"""


def test_the_page_widens_like_the_command(page: Page) -> None:
    rng = np.random.default_rng(0)
    for number in range(24):
        height, width = map(int, rng.integers(1, 40, 2))
        distance, share = int(rng.integers(0, 12)), (0.0, 0.01, 0.1, 0.6)[number % 4]
        mask = rng.random((height, width)) < share
        pixels = page.evaluate(WIDENED, [[*map(int, mask.ravel())], width, height, distance])
        assert np.array_equal(np.reshape(pixels, mask.shape), widened(mask, distance))


def test_the_selection_grows_and_shrinks_by_a_pixel(page: Page) -> None:
    page.keyboard.press("r")
    drag(page, (-0.2, -0.1), (0.2, 0.1))
    painted = hole(page)
    page.click("#grow")
    near = np.pad(painted, 1)
    cross = near[1:-1, 1:-1] | near[2:, 1:-1] | near[:-2, 1:-1] | near[1:-1, 2:] | near[1:-1, :-2]
    assert np.array_equal(hole(page), cross)
    page.click("#shrink")
    assert np.array_equal(hole(page), painted)
    page.keyboard.press("Control+z")
    assert np.array_equal(hole(page), cross)


def test_two_fingers_on_a_trackpad_move_the_view(page: Page) -> None:
    box = page.locator("#canvas").bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    scale = (min(box["width"], box["height"]) - 48) / SIDE
    page.mouse.move(*middle)
    for _ in range(5):
        page.mouse.wheel(0, -20)
    page.fill("#size", "0")
    page.mouse.click(*middle)
    page.wait_for_selector("#undo:enabled")
    rows, columns = np.nonzero(hole(page))
    assert abs(rows.mean() + 0.5 - (SIDE / 2 - 100 / scale)) < 1
    assert abs(columns.mean() + 0.5 - SIDE / 2) < 1


def test_the_size_is_offered_only_for_tools_that_have_one(page: Page) -> None:
    assert page.is_visible("#size")
    page.keyboard.press("l")
    assert not page.is_visible("#size")
    page.keyboard.press("e")
    assert page.is_visible("#size")


def test_arrow_keys_move_within_the_toolbar(page: Page) -> None:
    stops = page.eval_on_selector_all(
        "#tools button", "all => all.filter(one => one.tabIndex === 0).length"
    )
    assert stops == 1
    page.focus("#tools [data-tool=brush]")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.dataset.tool") == "eraser"
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    assert page.evaluate("document.activeElement.id") == "zoom-fit"


def test_the_focus_stays_where_the_work_is(page: Page) -> None:
    drag(page, (-0.2, 0), (0.2, 0.05))
    choose(page, "yeh2017")
    page.focus("#fill")
    page.keyboard.press("Enter")
    page.wait_for_selector("#cancel:focus")
    page.keyboard.press("Enter")
    page.wait_for_selector("#fill:focus")
    choose(page, "fast")
    page.focus("#fill")
    page.keyboard.press("Enter")
    page.wait_for_selector("#candidates [aria-checked=true]:focus")


def test_a_result_is_copied(page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    fill(page)
    page.click("#copy")
    page.wait_for_selector("#status:text('Copied')")
    size = page.evaluate(
        """navigator.clipboard.read().then(([one]) => one.getType("image/png"))
            .then(createImageBitmap).then(({ width, height }) => [width, height])"""
    )
    assert size == [SIDE, SIDE]


@pytest.mark.parametrize("side", [SIDE, 320, 1600])  # in larger pictures damage is widened by more
def test_damage_is_found_and_painted_like_by_hand(
    visit: Visit, address: str, tmp_path: Path, side: int
) -> None:
    photo = tmp_path / "large.png"
    Image.fromarray(noise(side, side)).save(photo)
    likely = np.zeros((side, side), np.uint8)
    likely[:, 10], likely[:, 20], likely[:, 30] = 255, 150, 60
    likely[20:33, 34:47] = 255
    buffer = io.BytesIO()
    Image.fromarray(likely).save(buffer, "PNG")

    page = visit()
    page.route(
        "**/api/v1/damage",
        lambda route: route.fulfill(body=buffer.getvalue(), content_type="image/png"),
    )
    enter(page, address)
    open_photo(page, photo)
    page.click("#find-damage")
    page.wait_for_selector("#sensitivity-row:not([hidden])")
    assert np.array_equal(hole(page), with_rim(likely >= 127.5))
    page.fill("#sensitivity", "80")
    assert np.array_equal(hole(page), with_rim(likely >= 51))
    page.fill("#sensitivity", "20")
    assert np.array_equal(hole(page), with_rim(likely >= 204))
    page.keyboard.press("Control+z")
    assert not hole(page).any()


def test_damage_that_is_looked_for_is_forgotten_with_its_photo(page: Page, photo: Path) -> None:
    """Painting meanwhile keeps the note; another photo, or a fill, ends the looking."""
    waiting: list[Route] = []
    page.route("**/api/v1/damage", lambda route: waiting.append(route))
    cancelled: list[str] = []
    page.on("requestfailed", lambda request: cancelled.append(request.url.rsplit("/", 1)[1]))
    page.click("#find-damage")
    page.wait_for_selector("#damage-note:text('Looking')")
    drag(page, (-0.2, 0), (0.2, 0))
    assert "Looking" in page.inner_text("#damage-note")
    assert page.is_hidden("#find-damage")
    open_another = [list(photo.read_bytes()), "pasted.png"]
    page.evaluate(DROP, open_another)
    page.click("#ask button[value=leave]")
    page.wait_for_selector("#file-name:text-is('pasted.png')")
    assert page.inner_text("#damage-note") == ""
    page.click("#find-damage")
    fill(page)
    assert cancelled.count("damage") == 2
    page.click("#edit")
    assert page.is_visible("#find-damage")
    assert page.inner_text("#problem") == ""


def test_looking_for_damage_can_be_cancelled(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the button or by Esc: nothing is selected, the focus stays, the server stops too."""
    looked: list[int] = []

    def look(image: object, coarser: object, tile: Region, model: object) -> NDArray[np.uint8]:
        looked.append(len(looked))
        time.sleep(0.1)
        return np.full([part.stop - part.start for part in tile], 255, np.uint8)

    monkeypatch.setattr(tiles, "_TILE", 2)  # 576 of them, for a minute
    monkeypatch.setattr(tiles, "_look", look)
    for way in ("Enter", "Escape"):
        page.focus("#find-damage")
        page.keyboard.press("Enter")
        page.wait_for_selector("#damage-note:text('Looking')")
        assert page.evaluate("document.activeElement.id") == "stop-looking"
        before = len(looked)
        for _ in range(200):
            page.wait_for_timeout(50)
            if len(looked) > before:
                break
        page.keyboard.press(way)
        assert page.inner_text("#damage-note") == "" == page.inner_text("#problem")
        assert page.is_visible("#find-damage") and page.is_hidden("#looking")
        assert page.evaluate("document.activeElement.id") == "find-damage"
        page.wait_for_timeout(1500)
        ended = len(looked)
        page.wait_for_timeout(500)
        assert before < ended == len(looked) < 576
    assert not hole(page).any()


def test_a_cracked_photo_is_mended_on_the_page(visit: Visit, address: str, tmp_path: Path) -> None:
    """Damage is found, corrected with brush and eraser, filled, and the photo saved."""
    crack = cracks((512, 512), 0)[:256, :256]
    photo = paper_through(old_print(portrait(), 0)[:256, :256], crack)
    Image.fromarray(photo).save(tmp_path / "cracked.png")
    page = visit()
    enter(page, address)
    open_photo(page, tmp_path / "cracked.png")
    page.click("#find-damage")
    page.wait_for_selector("#sensitivity-row:not([hidden])")
    found = hole(page)
    assert found[crack].mean() > 0.7 and found.mean() < 0.3
    page.keyboard.press("b")
    drag(page, (-0.4, 0.4), (0.4, 0.4))
    painted = hole(page)
    assert (painted & ~found).sum() > 50 and not (found & ~painted).any()
    page.keyboard.press("e")
    drag(page, (-0.4, 0.4), (0.0, 0.4))
    mask = hole(page)
    assert mask.sum() < painted.sum() and not (mask & ~painted).any()
    choose(page, "fast", 1)
    page.click("#fill")
    page.wait_for_selector("body[data-state=filled]")
    mended = np.asarray(Image.open(io.BytesIO(saved(page, "#save"))).convert("RGB"))
    assert np.array_equal(mended[~mask], photo[~mask])
    assert (mended[mask] != photo[mask]).any(axis=-1).mean() > 0.9


def test_photos_of_a_folder_are_worked_through(
    visit: Visit, tiny_folder: Path, tmp_path: Path
) -> None:
    for name in ("one.png", "two.png", f"{'long' * 40}.png"):
        Image.fromarray(noise(SIDE, SIDE)).save(tmp_path / name)
    app = create_app(Engine("cpu", str(tiny_folder)), photos=PhotoFolder(tmp_path)).app
    page = visit()
    with serving(app) as here:
        page.goto(here)
        beyond = """[...document.querySelectorAll(".card .folder")].filter(
            one => one.scrollWidth > one.clientWidth
        ).length"""
        assert page.evaluate(beyond) == 0
        page.click(".card .folder >> text=one.png")
        page.wait_for_selector("body[data-state=painting]")
        fill(page)
        saved(page, "#save")
        page.wait_for_selector("#photos [data-name='one.png'].done")
        page.click("#photos >> text=two.png")
        page.wait_for_selector("#file-name:text-is('two.png')")


def test_progress_tells_what_is_done_in_words(framed: Page) -> None:
    """Every stage of a job, told by a stand-in one after the other."""
    stages = [
        ("running", {}, "Starting"),
        ("stage", {"stage": "looking"}, "Looking for faces"),
        ("step", {"step": 5, "steps": 10}, "50 %"),
        ("stage", {"stage": "adapting", "share": 0.1}, "Matching it to this photo: 10 %"),
        ("stage", {"stage": "continuing", "share": 0.75}, "Continuing the texture around it: 75 %"),
        ("stage", {"stage": "blending"}, "Blending"),
    ]
    framed.route("**/api/v1/inpaint*", lambda route: route.fulfill(status=202, json={"id": "stub"}))
    framed.route("**/api/v1/jobs/stub", lambda route: route.fulfill(status=204))
    asked: list[Route] = []
    framed.route("**/api/v1/jobs/stub/events", lambda route: asked.append(route))
    framed.click("#fill")
    for number, (name, data, words) in enumerate(stages):
        for _ in range(200):
            if len(asked) > number:
                break
            framed.wait_for_timeout(20)
        body = f"id: {number}\nevent: {name}\ndata: {json.dumps(data)}\n\n"
        asked[number].fulfill(body=body, content_type="text/event-stream")
        framed.wait_for_selector(f"#status:text('{words}')")
    framed.click("#cancel")
    framed.wait_for_selector("body[data-state=painting]")


# ---- for everybody


def violations(page: Page) -> list[str]:
    axe = pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is missing")
    page.evaluate((Path(axe.__file__).parent / "axe.min.js").read_text())
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")["violations"]
    return [f"{one['id']}: {node['html']}" for one in found for node in one["nodes"]]


@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_nothing_in_any_state(
    dark: bool, visit: Visit, address: str, photo: Path
) -> None:
    page = visit()
    page.emulate_media(color_scheme="dark" if dark else "light")
    enter(page, address)
    assert violations(page) == []
    open_photo(page, photo)
    for summary in page.locator("summary").all():
        summary.click()
    assert violations(page) == []
    page.click("[data-tool=extend]")
    page.click("[data-shape='4:3']")
    assert violations(page) == []
    page.click("#undo")
    page.click("[data-tool=brush]")
    drag(page, (-0.2, 0), (0.2, 0))
    held: list[Route] = []
    page.route("**/api/v1/inpaint*", lambda route: held.append(route))
    page.click("#fill")
    page.wait_for_selector("#cancel")
    assert violations(page) == []
    page.click("#cancel")
    page.wait_for_selector("body[data-state=painting]")
    page.unroute("**/api/v1/inpaint*")
    choose(page, "fast")
    page.click("#fill")
    page.wait_for_selector("body[data-state=filled]")
    assert violations(page) == []
    page.evaluate(DROP, [list(photo.read_bytes()), "pasted.png"])
    page.wait_for_selector("#ask[open]")
    assert violations(page) == []
