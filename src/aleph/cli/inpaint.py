"""The commands `inpaint`, `models` and `demo`."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aleph import config
from aleph.cli.folder import FolderShow, is_folder, refuse_workers
from aleph.cli.options import (
    AsJson,
    Cluster,
    Device,
    Model,
    Quiet,
    Verbose,
    Workers,
    given,
    one_of,
    options_of,
)
from aleph.cli.pipes import check_stream, is_piped, is_stream, read_piped, write_to_stream
from aleph.cli.progress import fill_bar, search_bar, show_log, warnings_said
from aleph.errors import InputError, MaskWarning, NothingFoundError
from aleph.imports import importing
from aleph.search.config import SearchConfig

if TYPE_CHECKING:
    from aleph.inpainter import Inpainter
    from aleph.masks.read import Mask
    from aleph.photo.limits import Limits
    from aleph.photo.photo import PhotoLike
    from aleph.workers.choose import WorkersWanted

Image = Annotated[
    str,
    typer.Argument(
        help="The damaged picture, - for standard input; or a folder, or s3://, gs://, az://."
    ),
]
Out = Annotated[
    str,
    typer.Option(
        "--out",
        "-o",
        help="Where to write the filled picture, - for standard output (as PNG); or a folder, or "
        "its address.",
    ),
]
MaskSource = Annotated[
    str | None,
    typer.Option(
        "--mask",
        "-m",
        help="A picture of the same proportions, light (128 and up) = missing; a folder of "
        "such, paired by name; strokes painted on nothing, or a copy with the damage erased; "
        "auto: the damage that is found, auto:left,top,right,bottom within a box, auto+MASK joined "
        "with another mask; alpha: what is transparent in IMAGE; - for standard input; or a "
        "generated mask: center, half, random, pattern, strokes.",
    ),
]
MaskColor = Annotated[
    str | None,
    typer.Option(help="Colour painted over the damage, as '#ff00ff': in --mask, or in IMAGE."),
]
Tolerance = Annotated[
    int | None, typer.Option(help="Largest difference from --mask-color, 0 to 255 (40).")
]
InvertMask = Annotated[bool, typer.Option("--invert-mask", help="What the mask marks is known.")]
Grow = Annotated[
    int | None,
    typer.Option(
        help="Pixels by which the hole is widened (2 for --mask auto, 4 where it is wide; 4 for "
        "--mask-color in a JPEG)."
    ),
]
Sensitivity = Annotated[
    float | None,
    typer.Option(
        help=f"How readily --mask auto takes something for damage, 0 to 1 ({config.SENSITIVITY:g})."
    ),
]
Preset = Annotated[str, typer.Option(help=one_of(config.Preset))]
Blending = Annotated[str | None, typer.Option(help=one_of(config.Blending))]
Candidates = Annotated[
    int, typer.Option(help="Different fills to write; further ones as OUT-2, OUT-3, …")
]
Seed = Annotated[int, typer.Option(help="Seed of the random starts and masks.")]
Precision = Annotated[str, typer.Option(help=one_of(config.Arithmetic))]
Frame = Annotated[
    str,
    typer.Option(
        help="Where the model's frame lies: auto: faces are found; face: nothing but faces; "
        "whole: the whole of a square picture; or left,top,right,bottom in pixels."
    ),
]
Eyes = Annotated[
    list[str] | None,
    typer.Option(
        help="A face to fill, by its eyes: x1,y1,x2,y2 in pixels; repeatable, no other is "
        "looked for."
    ),
]
Grain = Annotated[
    bool,
    typer.Option("--grain/--no-grain", help="Give the fill the grain of its surroundings."),
]
OutsideFill = Annotated[
    str,
    typer.Option(
        "--outside",
        help="How what no frame covers is filled: texture: the surroundings' texture goes on; or "
        "smooth.",
    ),
]
Extend = Annotated[
    str | None,
    typer.Option(
        help="Widen the picture, as left=200,top=10%: pixels or shares of its side, at left, top, "
        "right or bottom; what is new is missing."
    ),
]
Animate = Annotated[Path | None, typer.Option(help="Write the search as .gif, .webp or .mp4.")]
MaxMegapixels = Annotated[
    float | None,
    typer.Option(help="Largest photo and mask, in millions of pixels (300), as memory allows."),
]
Figure = Annotated[
    Path | None, typer.Option(help="Write original, damaged and filled side by side.")
]


@options_of(SearchConfig, aliases={"prior_weight": "--lambda"})
def inpaint(
    image: Image,
    out: Out,
    mask: MaskSource = None,
    mask_color: MaskColor = None,
    tolerance: Tolerance = None,
    invert_mask: InvertMask = False,
    grow: Grow = None,
    sensitivity: Sensitivity = None,
    extend: Extend = None,
    model: Model = None,
    preset: Preset = "balanced",
    blending: Blending = None,
    candidates: Candidates = 1,
    seed: Seed = 0,
    device: Device = "auto",
    precision: Precision = "auto",
    frame: Frame = "auto",
    eyes: Eyes = None,
    grain: Grain = True,
    outside: OutsideFill = "texture",
    animate: Animate = None,
    figure: Figure = None,
    max_megapixels: MaxMegapixels = None,
    workers: Workers = None,
    cluster: Cluster = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    **fields: Any,  # noqa: ANN401 - of SearchConfig
) -> None:
    """Fill the hole of a damaged picture, or the holes of a folder of them.

    A filled picture keeps the format's own colours, depth and metadata; every pixel outside the
    hole stays as it was. In a folder, pictures that are done already are skipped; the exit code is
    1 if one could not be filled. Options of the search that are not given are those of the preset.
    """
    if mask is None and mask_color is None and extend is None:
        raise typer.BadParameter("say what is missing: --mask, --mask-color or --extend")
    from aleph.frames.request import read_request
    from aleph.workers.choose import WorkersWanted

    show_log(verbose)
    config.check_choice("precision", precision, config.Arithmetic)
    read_request(frame, eyes)
    wanted = WorkersWanted(workers, cluster)
    marked_by = given(tolerance=tolerance, sensitivity=sensitivity, grow=grow, invert=invert_mask)
    source, damage, limits = _read_given(image, mask, mask_color, max_megapixels, marked_by)
    load = given(name_or_path=model, device=device, precision=precision)
    options = given(preset=preset, blending=blending, frame=frame, eyes=eyes, grain=grain, **fields)
    options |= {"outside": outside, "candidates": candidates, "seed": seed}
    task = _Task(source, damage, extend, out, limits, load, options, as_json, quiet)
    if not is_folder(image):
        refuse_workers(wanted)
        _inpaint_one(task, figure, animate)
    elif extend or figure or animate:
        raise InputError("--extend, --figure and --animate are for one picture: not for a folder")
    else:
        _inpaint_folder(task, wanted)


def _read_given(
    image: str,
    mask: str | None,
    color: str | None,
    megapixels: float | None,
    marked_by: dict[str, Any],
) -> tuple[PhotoLike, Mask | None, Limits]:
    """Return the image, read if it is piped; the mask; and how large both may be."""
    from aleph.masks.read import Mask
    from aleph.photo.limits import Limits

    limits = Limits(**given(megapixels=megapixels))
    with warnings_said():
        source, marks = read_piped(image, mask, limits)
    marking = mask is not None or color is not None
    return source, Mask(marks, color, **marked_by) if marking else None, limits


@dataclass(frozen=True)
class _Task:
    """What is to be filled, and how; `load` and `options` are keyword arguments.

    Attributes:
        image: A picture, or a folder of them.
        mask: What is missing; None if nothing but what --extend adds.
        extend: By how much the picture is widened.
        out: Where the result goes.
        limits: How large a picture may be.
        load: Of `Inpainter.from_pretrained`.
        options: Of the inpainter.
        as_json: Whether the result is printed as JSON.
        quiet: Whether no progress is shown.
    """

    image: PhotoLike
    mask: Mask | None
    extend: str | None
    out: str
    limits: Limits
    load: dict[str, Any]
    options: dict[str, Any]
    as_json: bool
    quiet: bool

    @property
    def inputs(self) -> list[object]:
        """The picture, and the file or folder of the mask, if there is one."""
        from aleph.damage.auto import read_auto

        auto = None if self.mask is None else read_auto(self.mask)
        return [self.image, self.mask.source if self.mask else None, auto.joined if auto else None]

    def inpainter(self) -> Inpainter:
        with importing():
            from aleph.inpainter import Inpainter

        return Inpainter.from_pretrained(**self.load)


def _inpaint_one(task: _Task, figure: Path | None, animate: Path | None) -> None:
    with importing(program=True):
        from aleph.damage.auto import read_damaged_photo
        from aleph.files import check_apart
        from aleph.inpainting import candidate_paths
        from aleph.photo.encode import check_photo_path
        from aleph.photo.pixels import check_image_path
        from aleph.visual.animation import check_animation_path

    # Everything that can be refused is refused before the search is waited for.
    out = Path(task.out)
    streamed = is_stream(out)
    if streamed:
        check_stream(out, task.as_json, task.options["candidates"])
    for path in [*([] if streamed else [out]), *([figure] if figure else [])]:
        check_image_path(path)
    if animate:
        check_animation_path(animate)
    fills = [] if streamed else candidate_paths(out, task.options["candidates"])
    check_apart([*fills, *filter(None, (figure, animate))], task.inputs)
    try:
        with warnings_said():
            photo, hole = read_damaged_photo(
                task.image, task.mask, task.options["seed"], task.limits, task.extend
            )
    except NothingFoundError as nothing:
        _copy(task, nothing)
        return
    if not streamed:
        check_photo_path(photo, out)
    inpainter = task.inpainter()
    with warnings_said(), fill_bar(task.quiet) as (on_step, on_piece):
        warnings.simplefilter("ignore", MaskWarning)  # said above
        record = animate is not None
        result = inpainter(photo, hole, on_step=on_step, on_piece=on_piece, on_adapt=on_piece,
                           record=record, **task.options)  # fmt: skip
    if streamed:
        write_to_stream(result.encode(out.suffix or ".png"), out)
    written = [] if streamed else result.save_all(out)
    if figure:
        result.figure(figure)
        written.append(figure)
    if animate:
        result.animate(animate)
        written.append(animate)
    if task.as_json:
        typer.echo(json.dumps({**result.report(), "files": [str(path) for path in written]}))
    elif not task.quiet:
        names = ", ".join(map(str, [*([out] if streamed else []), *written]))
        line = f"filled in {result.seconds:.1f} s, {result.sources}: {names}"
        typer.echo(line, err=is_piped(out))


def _copy(task: _Task, nothing: NothingFoundError) -> None:
    """Copy a picture in which there is nothing to fill, and say so."""
    from aleph.photo.encode import copied, copy_photo

    out = Path(task.out)
    if is_stream(out):
        write_to_stream(copied(task.image, out.suffix or ".png"), out)
    else:
        copy_photo(task.image, out)
    if task.as_json:
        typer.echo(json.dumps({"unchanged": str(nothing), "files": [str(out)]}))
    elif not task.quiet:
        typer.echo(f"{nothing}; copied unchanged: {out}", err=is_piped(out))


def _inpaint_folder(task: _Task, workers: WorkersWanted) -> None:
    with importing(program=True):
        from aleph.folders import FolderOutcome, inpaint_folder
        from aleph.pretrained import Pretrained

    if is_stream(Path(task.out)):
        raise InputError(f"the results of a folder need a folder, not '{task.out}'")
    assert isinstance(task.image, str)
    assert task.mask is not None  # without one there is --extend, which is refused for folders
    show = FolderShow(task.as_json, task.quiet)
    outcome = FolderOutcome()
    with show.progress("filling", outcome) as (on_photo, on_progress):
        inpaint_folder(
            task.image, task.mask, task.out, Pretrained(**task.load), limits=task.limits,
            workers=workers, on_photo=on_photo, on_progress=on_progress, **task.options,
        )  # fmt: skip
    count = show.counts
    copied = count["unchanged"]
    without = f"copied {copied} in which no damage was found, " if copied else ""
    show.end(
        f"filled {count['done']}, {without}skipped {count['skipped']} that were done already, "
        f"failed {count['failed']}",
        outcome,
    )


def models(
    name: Annotated[str | None, typer.Argument(help="Show this model's card.")] = None,
    as_json: AsJson = False,
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
    model: Model = None,
    seed: Annotated[int, typer.Option(help="Seed of cracks and search.")] = 0,
) -> None:
    """Age and crack a portrait, find and fill the damage, write pictures and an animation."""
    with importing(program=True):
        from aleph.demo import run_demo
        from aleph.models.zoo import DEFAULT_MODEL

    with search_bar(quiet=False) as on_step:
        outcome = run_demo(out, model or DEFAULT_MODEL, seed, on_step)
    typer.echo(f"searched for {outcome.seconds:.1f} s with {outcome.model}; written:")
    for path, what in outcome.files.items():
        typer.echo(f"  {path}  {what}")
