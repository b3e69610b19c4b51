"""The command `damage`."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aleph.cli.options import AsJson, Device, Quiet
from aleph.errors import InputError

if TYPE_CHECKING:
    from aleph.damage.write import DamageRequest


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
    precision: Annotated[str, typer.Option(help="auto, fp32 or bf16.")] = "auto",
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Find where a photo is damaged, or each of a folder, and write the mask: white = damaged.

    The mask is one for `aleph inpaint --mask`. In a folder the mask of a.jpg is a.png; the exit
    code is 1 if a photo could not be looked at.
    """
    from aleph.config import Arithmetic, check_choice
    from aleph.damage.write import DamageRequest
    from aleph.models.zoo import DEFAULT_DAMAGE_MODEL, load_damage_model

    check_choice("precision", precision, Arithmetic)
    request = DamageRequest(sensitivity, grow)
    if not image.exists():
        raise InputError(f"'{image}' does not exist")
    finder = load_damage_model(model or DEFAULT_DAMAGE_MODEL, device, precision)  # type: ignore[arg-type]
    request = dataclasses.replace(request, model=finder)
    if image.is_dir():
        _folder(image, out, overlay, request, as_json, quiet)
    else:
        _one(image, out, overlay, request, as_json, quiet)


def _one(
    image: Path,
    out: Path,
    overlay: Path | None,
    request: DamageRequest,
    as_json: bool,
    quiet: bool,
) -> None:
    from aleph.damage.write import write_damage
    from aleph.progress import Reporter

    with Reporter(not quiet).progress("looking", transient=True) as advance:
        share = write_damage(
            image, out, overlay, request, lambda done, total: advance(done, total=total)
        )
    files = [str(path) for path in (out, overlay) if path]
    if as_json:
        typer.echo(json.dumps({"share": share, "files": files}))
    elif not quiet:
        found = f"{share:.1%} of the photo is damaged" if share else "no damage was found"
        typer.echo(f"{found}: {', '.join(files)}")


def _folder(
    folder: Path,
    out: Path,
    overlay: Path | None,
    request: DamageRequest,
    as_json: bool,
    quiet: bool,
) -> None:
    from aleph.damage.write import write_damage_folder
    from aleph.progress import Reporter

    with Reporter(not quiet).progress("looking", transient=True) as advance:
        outcome = write_damage_folder(
            folder, out, overlay, request, lambda done, total: advance(done, total=total)
        )
    for name, reason in outcome.failed.items():
        typer.echo(f"aleph: {name}: {reason}", err=True)
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(outcome)))
    elif not quiet:
        none = sum(share == 0 for share in outcome.found.values())
        typer.echo(
            f"looked at {len(outcome.found)}, found no damage in {none}, "
            f"failed {len(outcome.failed)}"
        )
    if outcome.failed:
        raise typer.Exit(1)
