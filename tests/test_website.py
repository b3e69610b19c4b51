"""The documentation site: built without a warning, complete, and loading nothing from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import aleph
from aleph.cli.app import app

ROOT = Path(__file__).parent.parent
CHROMIUM = Path("/usr/bin/chromium")

MISSING = """() => {
    const images = [...document.querySelectorAll("img")];
    for (const image of images) image.loading = "eager";
    const loaded = images.map((image) => image.decode().then(() => null, () => image.src));
    return Promise.all(loaded).then((missing) => missing.filter(Boolean));
}"""
"""Addresses of the pictures of a page that cannot be shown."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("mkdocs", reason="the site needs the extra 'docs'")
    pytest.importorskip("mkdocstrings", reason="the site needs the extra 'docs'")
    pytest.importorskip("latex2mathml", reason="the site needs the extra 'docs'")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    built = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return folder


def test_the_references_name_every_command_option_and_path(site: Path) -> None:
    text = (site / "reference" / "cli.html").read_text()
    for command in app.registered_commands:
        assert command.callback is not None
        assert f"aleph {command.callback.__name__}" in text
    assert "--mask-color" in text and "--workers" in text
    assert "/api/v1/inpaint" in (site / "reference" / "http.html").read_text()
    assert "evaluate [OPTIONS] model data...\n" in re.sub(r"<[^>]+>", "", text)


def test_the_reference_of_python_has_every_public_name_and_nothing_else(site: Path) -> None:
    text = (site / "reference" / "python.html").read_text()
    described = {name.rpartition(".")[2] for name in re.findall(r'id="(aleph\.[\w.]+)"', text)}
    assert set(aleph.__all__) - {"__version__"} <= described
    assert not [name for name in described if name.startswith("_")]
    assert "unwarned" not in described and "&gt;&gt;&gt;" not in text
    assert not re.search(r'class="n">_\w', text)


@pytest.mark.skipif(not CHROMIUM.exists(), reason="needs chromium in /usr/bin")
def test_every_page_fits_a_phone_and_the_sliders_compare(site: Path) -> None:
    """In a browser, from the disk: nothing is asked for elsewhere, no picture is missing."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 390, "height": 844})
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        for path in sorted(site.rglob("*.html")):
            page.goto(path.as_uri())
            assert page.evaluate(MISSING) == [], path
            assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
        assert {url.partition(":")[0] for url in asked} <= {"file", "data", "blob"}
        page.goto((site / "index.html").as_uri())
        for slider in page.locator(".compare input").all():
            slider.evaluate("e => { e.value = 20; e.dispatchEvent(new Event('input')) }")
            before = slider.locator("xpath=..").locator("img.before")
            assert "80%" in before.evaluate("e => getComputedStyle(e).clipPath")
        browser.close()


def test_formulas_are_set_as_formulas(site: Path) -> None:
    text = (site / "method.html").read_text()
    assert text.count("<math") > 20
    assert "arithmatex" not in text and "\\frac" not in text


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        loaded = re.findall(r'<(?:script|img|iframe)[^>]* src="([^"]+)"', page.read_text())
        loaded += re.findall(
            r'<link rel="(?:stylesheet|icon|preload)[^>]* href="([^"]+)"', page.read_text()
        )
        assert not [address for address in loaded if address.startswith(("http", "//"))], page


def test_the_start_page_compares_before_and_after(site: Path) -> None:
    text = (site / "index.html").read_text()
    pictures = re.findall(r'src="(images/start/[^"]+)"', text)
    assert len(pictures) == 6 and all(
        (site / picture).stat().st_size > 1000 for picture in pictures
    )
