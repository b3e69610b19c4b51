"""The documentation site: built without a warning, complete, and loading nothing from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from aleph.cli.app import app

ROOT = Path(__file__).parent.parent


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
    assert "from_pretrained" in (site / "reference" / "python.html").read_text()


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
