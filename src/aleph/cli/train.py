"""The commands `train` and `export`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aleph.errors import InputError

if TYPE_CHECKING:
    pass
from aleph.cli.options import given


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
    from aleph.models.config import ModelConfig
    from aleph.training.config import TrainConfig
    from aleph.training.run import create_run, extend_run, read_run

    if out is None:
        raise InputError("say where the run shall lie: --out RUN")
    given_train = given(
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
    given_model = given(
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


def export(
    run: Annotated[Path, typer.Argument(help="Folder of a run of `aleph train`.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Model folder to write.")],
) -> None:
    """Make a model folder of a training run."""
    from aleph.training.export import export_run

    step = export_run(run, out)
    typer.echo(f"exported step {step} to {out}; complete its README.md, the model's card")
