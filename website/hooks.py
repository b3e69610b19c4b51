"""What MkDocs calls while it builds the site: formulas, generated pages and pictures."""

from __future__ import annotations

import base64
import html
import io
import json
import re
from pathlib import Path
from typing import Any

import latex2mathml.converter
import typer.main
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from PIL import Image

from aleph.cli.app import app as command_line
from aleph.web.app import create_app

ROOT = Path(__file__).parent.parent
IMAGES = ROOT / "docs/images"
REPOSITORY = "https://github.com/aleph-inpainting/aleph/blob/main"

FORMULA = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)
"""A formula as the extension arithmatex leaves it: \\(…\\) in a line, \\[…\\] on its own."""

PRIVATE = re.compile(r'^ +<span class="n">_\w+</span>.*\n', re.MULTILINE)
"""A line of a signature with a parameter that is no concern of those who call."""

INLINE_CODE = re.compile(r"(?<!<span></span>)<code>[^<\n]+</code>")
HYPHENATED = re.compile(r"(?<![^\s>])[^\s<>]*-[^\s<>]*(?![^\s<])")
"""Words of code within a sentence that a browser would break at their hyphens, as `--grow`."""

LONGEST_WORD = 30
"""Longest of them, in characters, that is held together: more would not fit on a phone."""

SIDE, GAP, CAPTION = 512, 16, 84
"""Side of the pictures in photo-portrait.jpg, the space between them, and that of the captions."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put pages of docs/ that mkdocs.yml does not list at the end of the section *Method*."""
    listed = repr(config.nav)
    method = next(item["Method"] for item in config.nav or [] if "Method" in item)
    method += [p.name for p in sorted((ROOT / "docs").glob("*.md")) if f"'{p.name}'" not in listed]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made of code and of the repository's own documents."""
    pages = {
        "reference/cli.md": _command_line(),
        "reference/http.md": _http(),
        "contributing.md": _document("CONTRIBUTING.md"),
        "changelog.md": _document("CHANGELOG.md"),
    }
    pictures = {f"images/start/{name}.webp": picture for name, picture in _crops().items()}
    for path in sorted((ROOT / "docs/notebooks").glob("*.ipynb")):
        text, shown = _notebook(path)
        pages[f"notebooks/{path.stem}.md"] = text
        pictures |= shown
        files.remove(files.src_uris[f"notebooks/{path.name}"])
    for name, content in {**pages, **pictures}.items():
        files.append(File.generated(config, name, content=content))
    return files


def on_page_content(text: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Set formulas as MathML, which browsers show without a script, and more.

    Words of code are held together; signatures lose what is private.
    """

    def mathml(found: re.Match[str]) -> str:
        display = "block" if found[2] == "[" else "inline"
        return latex2mathml.converter.convert(html.unescape(found[3]).strip(), display=display)

    def held(word: re.Match[str]) -> str:
        long = len(html.unescape(word[0])) > LONGEST_WORD
        return word[0] if long else f'<span class="word">{word[0]}</span>'

    text = INLINE_CODE.sub(lambda code: HYPHENATED.sub(held, code[0]), text)
    return FORMULA.sub(mathml, PRIVATE.sub("", text))


def _document(name: str) -> str:
    """Return a document of the repository, its links into the repository made absolute."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return re.sub(r"\]\((?!https?:|#)([^)]+)\)", rf"]({REPOSITORY}/\1)", text)


def _notebook(path: Path) -> tuple[str, dict[str, bytes]]:
    """Return a notebook as a page, with the outputs that it holds, and the pictures among them."""
    parts: list[str] = []
    pictures: dict[str, bytes] = {}
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        for output in cell.get("outputs", []):
            shown = output.get("data", {})
            if "image/png" in shown:
                name = f"{path.stem}-{len(pictures)}.webp"
                png = io.BytesIO(base64.b64decode("".join(shown["image/png"])))
                pictures[f"notebooks/{name}"] = _webp(Image.open(png).convert("RGB"))
                parts.append(f"![What the lines above show]({name})")
            else:
                text = "".join(output.get("text", shown.get("text/plain", "")))
                parts.append(f"```text\n{text.rstrip()}\n```")
    title, _, rest = "\n\n".join(parts).partition("\n")
    note = (
        f"*This page is [a notebook]({REPOSITORY}/docs/notebooks/{path.name}): open it in Jupyter "
        "to try it on your own pictures.*"
    )
    return f"{title}\n\n{note}\n{rest}\n", pictures


def _crops() -> dict[str, bytes]:
    """Cut the pictures of the start page's sliders out of figures that the benchmarks draw."""
    group = Image.open(IMAGES / "photo-group.jpg").convert("RGB")
    half = group.height // 2
    cut = {
        "group-before": group.crop((0, 0, group.width, half)),
        "group-after": group.crop((0, half, group.width, group.height)),
    }
    portrait = Image.open(IMAGES / "photo-portrait.jpg").convert("RGB")
    for row, damage in ((0, "scratch"), (1, "stain")):
        for column, when in ((0, "before"), (1, "after")):
            left, top = GAP + column * (SIDE + GAP), CAPTION + row * (SIDE + GAP)
            cut[f"{damage}-{when}"] = portrait.crop((left, top, left + SIDE, top + SIDE))
    return {name: _webp(picture) for name, picture in cut.items()}


def _webp(picture: Image.Image) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "WEBP", quality=85)
    return stream.getvalue()


def _command_line() -> str:
    """Return the reference of the command line, from the program's own help."""
    root: Any = typer.main.get_command(command_line)
    context = root.make_context("aleph", [], resilient_parsing=True)
    parts = [
        "# Command line",
        f"{root.help}\n\n`aleph COMMAND --help` says the same in a terminal.",
    ]
    for name, command in root.commands.items():
        inner = command.make_context(name, [], parent=context, resilient_parsing=True)
        usage = re.sub("[{}]", "", " ".join(command.collect_usage_pieces(inner)))
        records = [parameter.get_help_record(inner) for parameter in command.params]
        rows = [f"| `{names}` | {_cell(_coded(text))} |" for names, text in filter(None, records)]
        told = _paragraphs(_coded(command.help or ""))
        parts += [f"## aleph {name}", f"```\naleph {name} {usage}\n```", told]
        parts.append("\n".join(["| option | |", "| --- | --- |", *rows]))
    return "\n\n".join(parts) + "\n"


def _http() -> str:
    """Return the reference of the HTTP API, from its description for machines."""
    described = create_app().app.openapi()
    schemas = described.get("components", {}).get("schemas", {})
    parts = [
        "# HTTP",
        "The API of `aleph serve`. The same description for machines is at "
        "`/api/v1/openapi.json`, and [API clients](../how-to/clients.md) has examples. Every "
        'refusal is `{"detail": "one sentence"}`.',
    ]
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            parts += [f"## {method.upper()} {path}", _paragraphs(operation.get("description"))]
            parts += [_fields(operation, schemas), _answers(operation)]
    return "\n\n".join(filter(None, parts)) + "\n"


def _fields(operation: dict[str, Any], schemas: dict[str, Any]) -> str:
    """Return a table of an operation's parameters and form fields."""
    rows = [
        (p["name"], p["in"], p.get("schema", {}), p.get("description", ""))
        for p in operation.get("parameters", [])
    ]
    for content in operation.get("requestBody", {}).get("content", {}).values():
        schema = _resolved(content["schema"], schemas)
        for name, value in schema.get("properties", {}).items():
            rows.append((name, "form", value, value.get("description", "")))
    if not rows:
        return ""
    lines = [
        f"| `{name}` | {where} | {_type(schema)} | {_cell(text)} |"
        for name, where, schema, text in rows
    ]
    return "| field | in | type | |\n| --- | --- | --- | --- |\n" + "\n".join(lines)


def _resolved(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    found = schema.get("$ref", "").rpartition("/")[2]
    return schemas.get(found, schema)


def _type(schema: dict[str, Any]) -> str:
    """Return a field's type in a word or two, with its default."""
    kinds = [s for s in schema.get("anyOf", [schema]) if s.get("type") != "null"]
    words = [
        ", ".join(f"`{value}`" for value in kind["enum"])
        if "enum" in kind
        else (
            "file"
            if kind.get("format") == "binary" or "contentMediaType" in kind
            else kind.get("type", "")
        )
        for kind in kinds
    ]
    default = schema.get("default")
    return " or ".join(filter(None, words)) + (f" ({default})" if default not in (None, "") else "")


def _answers(operation: dict[str, Any]) -> str:
    rows = [
        f"| {status} | {', '.join(f'`{kind}`' for kind in answer.get('content', {}))} | "
        f"{_cell(answer.get('description', ''))} |"
        for status, answer in operation.get("responses", {}).items()
    ]
    return "| answer | as | |\n| --- | --- | --- |\n" + "\n".join(rows)


def _paragraphs(text: str | None) -> str:
    """Return a help text with its line breaks inside paragraphs undone."""
    return "\n\n".join(" ".join(part.split()) for part in (text or "").split("\n\n"))


def _coded(text: str) -> str:
    """Return a help text with the options that it names set as code."""
    pieces = text.split("`")
    pieces[::2] = [re.sub(r"(?<![\w-])--[a-z][\w-]*", r"`\g<0>`", piece) for piece in pieces[::2]]
    return "`".join(pieces)


def _cell(text: str) -> str:
    """Return text for a cell of a table."""
    return " ".join(html.escape(text, quote=False).replace("|", "\\|").split())
