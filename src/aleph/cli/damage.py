"""The command `damage`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aleph import config
from aleph.cli.folder import FolderShow, is_folder, refuse_workers
from aleph.cli.options import AsJson, Cluster, Device, Quiet, Workers, given, one_of
from aleph.errors import InputError
from aleph.imports import importing

if TYPE_CHECKING:
    from aleph.damage.write import DamageRequest
    from aleph.workers.choose import WorkersWanted


def damage(
    image: Annotated[str, typer.Argument(help="The photo; or a folder, or s3://, gs://, az://.")],
    out: Annotated[
        str,
        typer.Option("--out", "-o", help="Where to write the mask, as .png; or a folder for all."),
    ],
    sensitivity: Annotated[
        float, typer.Option(help="How readily something is taken for damage, 0 to 1.")
    ] = config.SENSITIVITY,
    overlay: Annotated[
        str | None,
        typer.Option(help="Write the photo with its damage in red; or a folder for all."),
    ] = None,
    grow: Annotated[int, typer.Option(help="Pixels by which what is found is widened.")] = 0,
    model: Annotated[str | None, typer.Option(help="A finder of damage (damage-finder).")] = None,
    device: Device = "auto",
    precision: Annotated[str, typer.Option(help=one_of(config.Arithmetic))] = "auto",
    workers: Workers = None,
    cluster: Cluster = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Find where a photo is damaged, or each of a folder, and write the mask: white = damaged.

    The mask is one for `aleph inpaint --mask`. In a folder the mask of a.jpg is a.png, and photos
    that are done already are skipped; the exit code is 1 if one could not be looked at.
    """
    from aleph.damage.write import DamageRequest
    from aleph.workers.choose import WorkersWanted

    if "-" in (image, out, overlay):
        raise InputError(
            "aleph damage reads and writes files, no pipes: name them; "
            "aleph inpaint - --mask auto -o - finds and fills damage in a pipe"
        )
    how = given(finder=model, device=device, precision=precision)
    request = DamageRequest(sensitivity, grow, **how)
    wanted, show = WorkersWanted(workers, cluster), FolderShow(as_json, quiet)
    if is_folder(image):
        _folder(image, out, overlay, request, wanted, show)
        return
    refuse_workers(wanted)
    if not Path(image).exists():
        raise InputError(f"'{image}' does not exist")
    _photo(Path(image), Path(out), Path(overlay) if overlay else None, request, show)


def _photo(
    image: Path, out: Path, overlay: Path | None, request: DamageRequest, show: FolderShow
) -> None:
    """Write the mask of a photo."""
    with importing(program=True):
        from aleph.damage.write import write_damage
        from aleph.progress import Reporter

    with Reporter(not show.quiet).progress("looking", transient=True) as advance:
        share = write_damage(image, out, overlay, request, lambda n, total: advance(n, total=total))
    files = [str(path) for path in (out, overlay) if path]
    found = f"{share:.1%} of the photo is damaged" if share else "no damage was found"
    if show.as_json:
        typer.echo(json.dumps({"share": share, "files": files}))
    elif not show.quiet:
        typer.echo(f"{found}: {', '.join(files)}")


def _folder(
    folder: str,
    out: str,
    overlay: str | None,
    request: DamageRequest,
    workers: WorkersWanted,
    show: FolderShow,
) -> None:
    """Write the masks of a folder."""
    with importing(program=True):
        from aleph.folders import DamageOutcome, PhotoOutcome, find_damage_in_folder

    outcome, intact = DamageOutcome(), 0
    with show.progress("looking", outcome) as (show_photo, on_progress):

        def on_photo(photo: PhotoOutcome) -> None:
            nonlocal intact
            intact += photo.facts.get("share") == 0
            show_photo(photo)

        find_damage_in_folder(
            folder, out, overlay, request, workers=workers, on_photo=on_photo,
            on_progress=on_progress,
        )  # fmt: skip
    count = show.counts
    show.end(
        f"looked at {count['done']}, skipped {count['skipped']} that were done already, found no "
        f"damage in {intact}, failed {count['failed']}",
        outcome,
    )
