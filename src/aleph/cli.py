"""The command line: parse, call, show; nothing else. Heavy imports stand inside the commands."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aleph import __version__
from aleph.errors import AlephError, InputError, MaskWarning, MissingDependencyError

if TYPE_CHECKING:
    from aleph.masks import Mask
    from aleph.search import SearchStep

app = typer.Typer(
    name="aleph",
    help="Fill holes in images by searching the latent space of a generative model.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

DEFAULT_MODEL_HELP = "A name of `aleph models`, or a model folder."


def main() -> None:
    """Run the command line; an error that a user can cause is one sentence and exit code 2."""
    try:
        app()
    except AlephError as error:
        typer.echo(f"aleph: {error}", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        typer.echo("aleph: stopped", err=True)
        sys.exit(130)
    except BrokenPipeError:
        # Whoever read our output has gone; say nothing more, not even while closing.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"aleph {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Fill holes in images by searching the latent space of a generative model."""


@contextmanager
def _bar(what: str, quiet: bool) -> Iterator[Any]:
    """Show a bar with the time left; yields what moves it: `move(done, total, note)`."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn(what),
        BarColumn(),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True, quiet=quiet)
    hidden = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=hidden) as bar:
        task = bar.add_task(what, total=None, note="")

        def move(done: float, total: int, note: str) -> None:
            bar.update(task, total=total, completed=done, note=note)

        yield move


@contextmanager
def _search_bar(quiet: bool) -> Iterator[Any]:
    """Show a bar of the search's steps; yields the callback for the search."""
    with _bar("searching", quiet) as move:

        def on_step(step: SearchStep) -> None:
            loss = f"loss {step.losses['total'].min():.4f}"
            move(step.step, step.steps, f"{step.step}/{step.steps} {loss}")

        yield on_step


@contextmanager
def _warnings_said() -> Iterator[None]:
    """Say warnings in one line each."""
    with warnings.catch_warnings(record=True) as caught:
        yield
    for warning in caught:
        typer.echo(f"aleph: warning: {warning.message}", err=True)


@app.command()
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
    from aleph.choosing import read_wish
    from aleph.config import Arithmetic, check_choice
    from aleph.masks import Mask

    check_choice("precision", precision, Arithmetic)
    read_wish(frame, eyes)
    given = _given(tolerance=tolerance)
    damage = Mask(mask, color=mask_color, invert=invert_mask, grow=grow, **given)
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
    from aleph.animation import check_animation_path
    from aleph.encoding import check_photo_path
    from aleph.images import check_image_path
    from aleph.inpainter import Inpainter
    from aleph.masks import read_damaged

    # Everything that can be refused is refused before the search is waited for.
    for path in [out, *([figure] if figure else [])]:
        check_image_path(path)
    if animate:
        check_animation_path(animate)
    with _warnings_said():
        photo, hole = read_damaged(image, mask, seed)
    check_photo_path(photo, out)
    inpainter = Inpainter.from_pretrained(**_given(**model))
    with _warnings_said(), _search_bar(quiet) as on_step:
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

    inpainter = Inpainter.from_pretrained(**_given(**model))
    with _bar("filling", quiet) as move:

        def on_progress(done: float, total: int) -> None:
            move(done, total, f"{int(done)}/{total}")

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


@app.command()
def models(
    name: Annotated[str | None, typer.Argument(help="Show this model's card.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """List the models that are there, or show the card of one."""
    from aleph.zoo import DEFAULT_MODEL, describe, find_model, list_models, read_card, read_config

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


@app.command()
def train(
    data: Annotated[
        list[Path] | None,
        typer.Argument(help="Folders or zips of images, or CelebA's img_align_celeba."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder of the run.")] = None,
    model: Annotated[
        str, typer.Option(help="Kind of model: amortised, dcgan or detector.")
    ] = "dcgan",
    init: Annotated[
        str | None,
        typer.Option(help="Start from this model's networks; a smaller one is grown."),
    ] = None,
    detector: Annotated[
        str | None,
        typer.Option(help="Detector that finds such images in photos (that of --init, or none)."),
    ] = None,
    resolution: Annotated[int | None, typer.Option(help="Side of the images in pixels.")] = None,
    steps: Annotated[
        int | None, typer.Option(help="Steps in all; with --resume a new number extends the run.")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images per step, all devices.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Adam's step size.")] = None,
    latent_dim: Annotated[int | None, typer.Option(help="Length of z.")] = None,
    generator_width: Annotated[
        int | None, typer.Option(help="Channels of the generator's last hidden layer.")
    ] = None,
    discriminator_width: Annotated[
        int | None, typer.Option(help="Channels of the discriminator's first layer.")
    ] = None,
    encoder_width: Annotated[
        int | None, typer.Option(help="Channels of the first layer (amortised, detector).")
    ] = None,
    maximum_width: Annotated[
        int | None, typer.Option(help="Bound of the channels of any layer (not dcgan).")
    ] = None,
    adversary_start: Annotated[
        int | None, typer.Option(help="Step from which D takes part (amortised).")
    ] = None,
    adversary_weight: Annotated[
        float | None, typer.Option(help="Weight of D's verdict (amortised).")
    ] = None,
    feature_weight: Annotated[
        float | None, typer.Option(help="Weight of D's features (amortised).")
    ] = None,
    kl_weight: Annotated[
        float | None, typer.Option(help="Weight of the posterior's divergence (amortised).")
    ] = None,
    r1_weight: Annotated[
        float | None, typer.Option(help="γ of the R1 penalty on D (amortised).")
    ] = None,
    backgrounds: Annotated[
        Path | None,
        typer.Option(help="Folder or zip of photographs without the class (detector)."),
    ] = None,
    average_half_life: Annotated[
        int | None, typer.Option(help="Images after which a weight's share has halved.")
    ] = None,
    holdout: Annotated[
        int | None, typer.Option(help="Images to set aside; listed in RUN/holdout.txt.")
    ] = None,
    partition: Annotated[
        Path | None, typer.Option(help="CelebA's list_eval_partition.txt; found beside the data.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the whole run.")] = None,
    precision: Annotated[str | None, typer.Option(help="bf16 or fp32.")] = None,
    flip: Annotated[
        bool | None, typer.Option("--flip/--no-flip", help="Mirror images at random.")
    ] = None,
    save_every: Annotated[int | None, typer.Option(help="Steps between saved states.")] = None,
    sample_every: Annotated[int | None, typer.Option(help="Steps between sample grids.")] = None,
    log_every: Annotated[int | None, typer.Option(help="Steps between logged losses.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    accelerator: Annotated[str, typer.Option(help="auto, cpu, cuda, mps.")] = "auto",
    devices: Annotated[
        str, typer.Option(help="Devices per machine: a number, or auto: all GPUs, one processor.")
    ] = "auto",
    nodes: Annotated[int, typer.Option(help="Machines.")] = 1,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be done and stop.")
    ] = False,
) -> None:
    """Train a model on your own images; SIGINT and SIGTERM save and stop, --resume goes on."""
    from aleph.config import ModelConfig, TrainConfig
    from aleph.training.run import create_run, extend_run, read_run

    if out is None:
        raise InputError("say where the run shall lie: --out RUN")
    given_train = _given(
        steps=steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        adversary_start=adversary_start,
        adversary_weight=adversary_weight,
        feature_weight=feature_weight,
        kl_weight=kl_weight,
        r1_weight=r1_weight,
        backgrounds=str(backgrounds.absolute()) if backgrounds else None,
        average_half_life=average_half_life,
        holdout=holdout,
        seed=seed,
        precision=precision,
        flip=flip,
        save_every=save_every,
        sample_every=sample_every,
        log_every=log_every,
    )
    given_model = _given(
        resolution=resolution,
        latent_dim=latent_dim,
        generator_width=generator_width,
        discriminator_width=discriminator_width,
        encoder_width=encoder_width,
        maximum_width=maximum_width,
        detector=detector,
    )
    if resume:
        run = extend_run(read_run(out), given_train, given_model)
    else:
        settings = ModelConfig.default(model, **given_model)
        run = create_run(out, data or [], settings, TrainConfig(**given_train), partition, init)
    if dry_run:
        typer.echo(json.dumps(run.to_dict(), indent=2))
        return
    from aleph.training.loop import Devices
    from aleph.training.loop import train as train_run

    outcome = train_run(run, resume=resume, devices=Devices(accelerator, devices, nodes))
    if outcome.first_process:
        state = "finished" if outcome.finished else "stopped"
        hint = f"export it: aleph export {out} -o FOLDER"
        if not outcome.finished:
            hint = f"go on: aleph train --resume --out {out}"
        rate = outcome.images_per_second
        typer.echo(f"{state} at step {outcome.step} ({rate:.0f} images/s); {hint}")


def _given(**options: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return the options that were given."""
    return {name: value for name, value in options.items() if value is not None}


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="Folder of a run of `aleph train`.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Model folder to write.")],
) -> None:
    """Make a model folder of a training run."""
    from aleph.training.export import export_run

    step = export_run(run, out)
    typer.echo(f"exported step {step} to {out}; complete its README.md, the model's card")


def _words(text: str | None) -> tuple[str, ...] | None:
    """Split a comma-separated option; None stays None."""
    return None if text is None else tuple(filter(None, (w.strip() for w in text.split(","))))


@app.command()
def evaluate(
    model: Annotated[str, typer.Argument(help=DEFAULT_MODEL_HELP)],
    data: Annotated[
        list[Path], typer.Argument(help="Folders or zips of images, or CelebA's img_align_celeba.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder; a run in it is gone on with.")],
    images: Annotated[int | None, typer.Option(help="Images to take, at most (500).")] = None,
    masks: Annotated[
        str | None,
        typer.Option(help="Comma-separated names of generated masks, or pictures (all five)."),
    ] = None,
    weightings: Annotated[
        str | None, typer.Option(help="Comma-separated; 'preset' is the preset's own (all four).")
    ] = None,
    norms: Annotated[str | None, typer.Option(help="Comma-separated: l1, l2, preset (l1).")] = None,
    presets: Annotated[str | None, typer.Option(help="Comma-separated (balanced).")] = None,
    blendings: Annotated[
        str | None,
        typer.Option(help="Comma-separated; one search serves all (paste,poisson,preset)."),
    ] = None,
    baselines: Annotated[
        str | None,
        typer.Option(
            help="Comma-separated: mean, telea, navier-stokes, biharmonic (those four), yeh2017, "
            "yeh2017@MODEL."
        ),
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Steps of every preset's search.")] = None,
    starts: Annotated[int | None, typer.Option(help="Starts of every preset's search.")] = None,
    overrides: Annotated[
        str | None, typer.Option(help="Comma-separated NAME=VALUE in place of the presets' own.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of masks, starts and resampling.")] = None,
    resolution: Annotated[
        int | None, typer.Option(help="Side of the images in pixels (the model's).")
    ] = None,
    protocol: Annotated[
        str | None, typer.Option(help="celeba: 500 held-out images at 64×64 centre crops.")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images searched together (16).")] = None,
    precision: Annotated[str | None, typer.Option(help="fp32 or bf16.")] = None,
    extra_metrics: Annotated[
        str | None, typer.Option(help="lpips, fid: need optional packages and downloaded weights.")
    ] = None,
    shown: Annotated[int | None, typer.Option(help="Images in the figures (8).")] = None,
    figures: Annotated[
        bool, typer.Option("--figures/--no-figures", help="Draw the figures.")
    ] = True,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    workers: Annotated[int, typer.Option(help="Processes.")] = 1,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
) -> None:
    """Measure what weighting the context is worth; killed and called again, it goes on."""
    from aleph.evaluation import EvaluationPlan, parse_overrides
    from aleph.evaluation import evaluate as run_evaluation
    from aleph.training.report import Reporter

    fields = _given(
        images=images,
        masks=_words(masks),
        weightings=_words(weightings),
        norms=_words(norms),
        presets=_words(presets),
        blendings=_words(blendings),
        baselines=_words(baselines),
        seed=seed,
        resolution=resolution,
        protocol=protocol,
        batch_size=batch_size,
        precision=precision,
        extra_metrics=_words(extra_metrics),
        shown=shown,
    )
    changes = parse_overrides(_words(overrides) or ()) | _given(steps=steps, starts=starts)
    plan = EvaluationPlan(model, tuple(map(str, data)), overrides=changes, **fields)
    summary = run_evaluation(
        plan, out, device=device, workers=workers, reporter=Reporter(not quiet), figures=figures
    )
    typer.echo(f"evaluated {summary.images} images; written:")
    for path, what in summary.files.items():
        typer.echo(f"  {path}  {what}")


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write to.")] = Path("demo"),
    model: Annotated[str | None, typer.Option(help=DEFAULT_MODEL_HELP)] = None,
    seed: Annotated[int, typer.Option(help="Seed of scratches and search.")] = 0,
) -> None:
    """Scratch a public-domain portrait, fill the scratches, write pictures and an animation."""
    from aleph.demo import run_demo
    from aleph.zoo import DEFAULT_MODEL

    with _search_bar(quiet=False) as on_step:
        outcome = run_demo(out, model or DEFAULT_MODEL, seed, on_step)
    typer.echo(f"searched for {outcome.seconds:.1f} s with {outcome.model}; written:")
    for path, what in outcome.files.items():
        typer.echo(f"  {path}  {what}")


@app.command()
def serve(
    host: Annotated[
        str, typer.Option(help="Address to listen on; beyond the loopback a token is demanded.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.")] = 8000,
    token: Annotated[
        str | None,
        typer.Option(envvar="ALEPH_TOKEN", help="Token that clients must give; made up if needed."),
    ] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="A further host name to be called by; repeatable.")
    ] = None,
    model: Annotated[str | None, typer.Option(help=DEFAULT_MODEL_HELP)] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    queue: Annotated[int, typer.Option(help="Searches that wait or run.", min=1)] = 8,
    max_upload: Annotated[int, typer.Option(help="MiB that a request may have.", min=1)] = 64,
    max_megapixels: Annotated[
        int, typer.Option(help="Largest picture, in megapixels.", min=1)
    ] = 50,
    grace: Annotated[
        float, typer.Option(help="Seconds that SIGTERM leaves the running search.", min=0)
    ] = 60.0,
) -> None:
    """Open a page to mend pictures on, and an HTTP API, on this machine."""
    try:
        from aleph.web.limits import Limits
        from aleph.web.server import ServeSettings
        from aleph.web.server import serve as run_server
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "aleph":
            raise
        raise MissingDependencyError(
            f"aleph serve needs {error.name}: pip install 'aleph-inpainting[web]'"
        ) from None
    limits = Limits(upload_bytes=max_upload * 2**20, pixels=max_megapixels * 10**6, queue=queue)
    names = tuple(allow_host or ())
    settings = ServeSettings(host, port, token, names, model, device, grace, limits)
    run_server(settings, typer.echo)
