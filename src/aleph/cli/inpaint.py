"""The commands `inpaint`, `models` and `demo`."""

from __future__ import annotations

import dataclasses
import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aleph.errors import InputError, MaskWarning

if TYPE_CHECKING:
    from aleph.masks.read import Mask
from aleph.cli.options import DEFAULT_MODEL_HELP, given
from aleph.cli.progress import search_bar, warnings_said


def inpaint(
    image: Annotated[Path, typer.Argument(help="The damaged picture; or a folder.")],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="Where to write the filled picture; or a folder for all."),
    ],
    mask: Annotated[
        str | None,
        typer.Option(
            "--mask",
            "-m",
            help="A picture of the same proportions, light (128 and up) = missing; a folder of "
            "such, paired by name; alpha: transparent = missing; or a generated mask: center, "
            "half, random, pattern, strokes.",
        ),
    ] = None,
    mask_color: Annotated[
        str | None,
        typer.Option(help="Colour painted over the damage, as '#ff00ff': in --mask, or in IMAGE."),
    ] = None,
    tolerance: Annotated[
        int | None, typer.Option(help="Largest difference from --mask-color, 0 to 255 (40).")
    ] = None,
    invert_mask: Annotated[
        bool, typer.Option("--invert-mask", help="What the mask marks is known.")
    ] = False,
    grow: Annotated[
        int | None,
        typer.Option(help="Pixels by which the hole is widened (4 for --mask-color in a JPEG)."),
    ] = None,
    model: Annotated[str | None, typer.Option(help=DEFAULT_MODEL_HELP)] = None,
    preset: Annotated[str, typer.Option(help="fast, balanced, thorough or yeh2017.")] = "balanced",
    weighting: Annotated[
        str | None, typer.Option(help="uniform, box, inverse or inverse-square.")
    ] = None,
    norm: Annotated[str | None, typer.Option(help="l1 or l2.")] = None,
    prior_weight: Annotated[
        float | None, typer.Option("--lambda", "--prior-weight", help="λ of the prior loss.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Steps of the search.")] = None,
    start: Annotated[
        str | None, typer.Option(help="encoder: the model's guess, if it has one; or random.")
    ] = None,
    starts: Annotated[int | None, typer.Option(help="Starts of the search.")] = None,
    latent_weight: Annotated[
        float | None, typer.Option(help="Weight of the latent term: keeps z where it is likely.")
    ] = None,
    blending: Annotated[str | None, typer.Option(help="poisson, matern or paste.")] = None,
    candidates: Annotated[
        int, typer.Option(help="Different fills to write; further ones as OUT-2, OUT-3, …")
    ] = 1,
    seed: Annotated[int, typer.Option(help="Seed of the random starts and masks.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, fp32 or bf16.")] = "auto",
    frame: Annotated[
        str,
        typer.Option(
            help="Where the model's frame lies: auto: faces are found; face: nothing but faces; "
            "whole: the whole of a square picture; or left,top,right,bottom in pixels."
        ),
    ] = "auto",
    eyes: Annotated[
        list[str] | None,
        typer.Option(
            help="A face to fill, by its eyes: x1,y1,x2,y2 in pixels; repeatable, no other is "
            "looked for."
        ),
    ] = None,
    grain: Annotated[
        bool,
        typer.Option(
            "--grain/--no-grain", help="Give the fill the grain of its surroundings (on)."
        ),
    ] = True,
    animate: Annotated[
        Path | None, typer.Option(help="Write the search as .gif, .webp or .mp4.")
    ] = None,
    figure: Annotated[
        Path | None, typer.Option(help="Write original, damaged and filled side by side.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a report as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
) -> None:
    """Fill the hole of a damaged picture, or the holes of a folder of them.

    A filled picture keeps the format's own colours, depth and metadata; every pixel outside the
    hole stays as it was. In a folder, pictures that are done already are skipped; the exit code is
    1 if one could not be filled.
    """
    if mask is None and mask_color is None:
        raise typer.BadParameter("say what is missing: --mask or --mask-color")
    from aleph.config import Arithmetic, check_choice
    from aleph.frames.request import read_request
    from aleph.masks.read import Mask

    check_choice("precision", precision, Arithmetic)
    read_request(frame, eyes)
    marked_by = given(tolerance=tolerance)
    damage = Mask(mask, color=mask_color, invert=invert_mask, grow=grow, **marked_by)
    chosen = {"name_or_path": model, "device": device, "precision": precision}
    options = {
        "preset": preset,
        "frame": frame,
        "eyes": eyes,
        "grain": grain,
        "candidates": candidates,
        "weighting": weighting,
        "norm": norm,
        "prior_weight": prior_weight,
        "steps": steps,
        "start": start,
        "starts": starts,
        "latent_weight": latent_weight,
        "blending": blending,
    }
    if not image.is_dir():
        _inpaint_one(image, damage, out, chosen, options, seed, figure, animate, as_json, quiet)
    elif figure or animate:
        raise InputError("--figure and --animate show one picture: not a folder of them")
    else:
        _inpaint_folder(image, damage, out, chosen, options, seed, as_json, quiet)


def _inpaint_one(
    image: Path,
    mask: Mask,
    out: Path,
    model: dict[str, Any],
    options: dict[str, Any],
    seed: int,
    figure: Path | None,
    animate: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    from aleph.inpainter import Inpainter
    from aleph.masks.read import read_damaged
    from aleph.photo.encode import check_photo_path
    from aleph.photo.pixels import check_image_path
    from aleph.visual.animation import check_animation_path

    # Everything that can be refused is refused before the search is waited for.
    for path in [out, *([figure] if figure else [])]:
        check_image_path(path)
    if animate:
        check_animation_path(animate)
    with warnings_said():
        photo, hole = read_damaged(image, mask, seed)
    check_photo_path(photo, out)
    inpainter = Inpainter.from_pretrained(**given(**model))
    with warnings_said(), search_bar(quiet) as on_step:
        warnings.simplefilter("ignore", MaskWarning)  # said above
        record = animate is not None
        result = inpainter(photo, hole, seed=seed, on_step=on_step, record=record, **options)
    written = result.save_all(out)
    if figure:
        result.figure(figure)
        written.append(figure)
    if animate:
        result.animate(animate)
        written.append(animate)
    if as_json:
        typer.echo(json.dumps({**result.report(), "files": [str(path) for path in written]}))
    elif not quiet:
        typer.echo(f"filled in {result.seconds:.1f} s: {', '.join(map(str, written))}")


def _inpaint_folder(
    folder: Path,
    mask: Mask,
    out: Path,
    model: dict[str, Any],
    options: dict[str, Any],
    seed: int,
    as_json: bool,
    quiet: bool,
) -> None:
    from aleph.folders import inpaint_folder
    from aleph.inpainter import Inpainter
    from aleph.progress import Reporter

    inpainter = Inpainter.from_pretrained(**given(**model))
    with Reporter(not quiet).progress("filling", transient=True) as advance:

        def on_progress(done: float, total: int) -> None:
            advance(done, total=total)

        outcome = inpaint_folder(
            folder, mask, out, inpainter, seed=seed, on_progress=on_progress, **options
        )
    for name, what in outcome.warned.items():
        typer.echo(f"aleph: warning: {name}: {what}", err=True)
    for name, reason in outcome.failed.items():
        typer.echo(f"aleph: {name}: {reason}", err=True)
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(outcome)))
    elif not quiet:
        done, skipped, failed = map(len, (outcome.filled, outcome.skipped, outcome.failed))
        typer.echo(f"filled {done}, skipped {skipped} that were done already, failed {failed}")
    if outcome.failed:
        raise typer.Exit(1)


def models(
    name: Annotated[str | None, typer.Argument(help="Show this model's card.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """List the models that are there, or show the card of one."""
    from aleph.models.folder import read_config
    from aleph.models.zoo import DEFAULT_MODEL, describe, find_model, list_models, read_card

    if name:
        if as_json:
            typer.echo(json.dumps(describe(read_config(find_model(name)))))
        else:
            typer.echo(read_card(name))
        return
    found = {key: describe(config) for key, config in list_models().items()}
    if as_json:
        typer.echo(json.dumps(found))
        return
    for key, facts in found.items():
        default = "  (default)" if key == DEFAULT_MODEL else ""
        size = f"{facts['resolution']}×{facts['resolution']}"
        typer.echo(f"{key:<18} {facts['kind']:<10} {size:<8} z {facts['latent_dim']}{default}")


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write to.")] = Path("demo"),
    model: Annotated[str | None, typer.Option(help=DEFAULT_MODEL_HELP)] = None,
    seed: Annotated[int, typer.Option(help="Seed of scratches and search.")] = 0,
) -> None:
    """Scratch a public-domain portrait, fill the scratches, write pictures and an animation."""
    from aleph.demo import run_demo
    from aleph.models.zoo import DEFAULT_MODEL

    with search_bar(quiet=False) as on_step:
        outcome = run_demo(out, model or DEFAULT_MODEL, seed, on_step)
    typer.echo(f"searched for {outcome.seconds:.1f} s with {outcome.model}; written:")
    for path, what in outcome.files.items():
        typer.echo(f"  {path}  {what}")
