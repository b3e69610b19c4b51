"""The command `damage`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aleph import config
from aleph.cli.options import AsJson, Device, Quiet, one_of
from aleph.errors import InputError

if TYPE_CHECKING:
    from aleph.damage.write import DamageRequest

OnProgress = Callable[[int, int], None]


def damage(
    image: Annotated[Path, typer.Argument(help="The photo; or a folder.")],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="Where to write the mask, as .png; or a folder for all."),
    ],
    sensitivity: Annotated[
        float, typer.Option(help="How readily something is taken for damage, 0 to 1.")
    ] = 0.5,
    overlay: Annotated[
        Path | None,
        typer.Option(help="Write the photo with its damage in red; or a folder for all."),
    ] = None,
    grow: Annotated[int, typer.Option(help="Pixels by which what is found is widened.")] = 0,
    model: Annotated[str | None, typer.Option(help="A finder of damage (damage-finder).")] = None,
    device: Device = "auto",
    precision: Annotated[str, typer.Option(help=one_of(config.Arithmetic))] = "auto",
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Find where a photo is damaged, or each of a folder, and write the mask: white = damaged.

    The mask is one for `aleph inpaint --mask`. In a folder the mask of a.jpg is a.png; the exit
    code is 1 if a photo could not be looked at.
    """
    from aleph.damage.write import DamageRequest
    from aleph.models.zoo import DEFAULT_DAMAGE_MODEL, load_damage_model
    from aleph.progress import Reporter

    config.check_choice("precision", precision, config.Arithmetic)
    request = DamageRequest(sensitivity, grow)
    if not image.exists():
        raise InputError(f"'{image}' does not exist")
    finder = load_damage_model(model or DEFAULT_DAMAGE_MODEL, device, precision)  # type: ignore[arg-type]
    request = dataclasses.replace(request, model=finder)
    with Reporter(not quiet).progress("looking", transient=True) as advance:
        find = _folder if image.is_dir() else _photo
        result, line = find(image, out, overlay, request, lambda n, total: advance(n, total=total))
    for name, reason in result.get("failed", {}).items():
        typer.echo(f"aleph: {name}: {reason}", err=True)
    if as_json:
        typer.echo(json.dumps(result))
    elif not quiet:
        typer.echo(line)
    if result.get("failed"):
        raise typer.Exit(1)


def _photo(
    image: Path, out: Path, overlay: Path | None, request: DamageRequest, on_progress: OnProgress
) -> tuple[dict[str, Any], str]:
    """Write the mask of a photo; return the result as plain JSON values, and as a line of text."""
    from aleph.damage.write import write_damage

    share = write_damage(image, out, overlay, request, on_progress)
    files = [str(path) for path in (out, overlay) if path]
    found = f"{share:.1%} of the photo is damaged" if share else "no damage was found"
    return {"share": share, "files": files}, f"{found}: {', '.join(files)}"


def _folder(
    folder: Path, out: Path, overlay: Path | None, request: DamageRequest, on_progress: OnProgress
) -> tuple[dict[str, Any], str]:
    """Write the masks of a folder; return the same as `_photo`."""
    from aleph.damage.write import write_damage_folder

    outcome = write_damage_folder(folder, out, overlay, request, on_progress)
    none = sum(share == 0 for share in outcome.found.values())
    return dataclasses.asdict(outcome), (
        f"looked at {len(outcome.found)}, found no damage in {none}, failed {len(outcome.failed)}"
    )
