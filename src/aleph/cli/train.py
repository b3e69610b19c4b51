"""The commands `train` and `export`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from aleph.cli.options import DATA_HELP, fields_of, options_of
from aleph.config import ModelKind
from aleph.errors import InputError
from aleph.imports import importing
from aleph.models.config import ModelConfig
from aleph.training.config import TrainConfig

if TYPE_CHECKING:
    from aleph.training.loop import Outcome

Data = Annotated[list[Path] | None, typer.Argument(help=DATA_HELP)]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="Folder of the run.")]
Kind = Annotated[
    str,
    typer.Option(
        "--model",
        help=f"Kind of model: {', '.join(get_args(ModelKind))}; or refiner, of the model --init.",
    ),
]
Init = Annotated[
    str | None,
    typer.Option("--init", help="Start from this model's networks; a smaller one is grown."),
]
RefinerOf = Annotated[
    str | None,
    typer.Option(
        "--refiner-of", help="Start the refiner from that of this model or run, not of --init."
    ),
]
Partition = Annotated[
    Path | None,
    typer.Option("--partition", help="CelebA's list_eval_partition.txt; found beside the data."),
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")]
Accelerator = Annotated[str, typer.Option("--accelerator", help="auto, cpu, cuda, mps.")]
Devices = Annotated[
    str,
    typer.Option(
        "--devices", help="Devices per machine: a number, or auto: all GPUs, one processor."
    ),
]
Nodes = Annotated[int, typer.Option("--nodes", help="Machines.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done and stop.")]


@options_of(ModelConfig, without=("kind", "prior", "mirrored", "detail"))
@options_of(TrainConfig, without=("part",), defaults=True)
def train(
    data: Data = None,
    out: Out = None,
    model: Kind = "dcgan",
    init: Init = None,
    refiner_of: RefinerOf = None,
    partition: Partition = None,
    resume: Resume = False,
    accelerator: Accelerator = "auto",
    devices: Devices = "auto",
    nodes: Nodes = 1,
    dry_run: DryRun = False,
    **fields: Any,  # noqa: ANN401 - of TrainConfig and ModelConfig
) -> None:
    """Train a model on your own images; SIGINT and SIGTERM save and stop, --resume goes on."""
    with importing(program=True):
        from aleph.training import run as runs

    if out is None:
        raise InputError("say where the run shall lie: --out RUN")
    of_training, of_model = (fields_of(config, fields) for config in (TrainConfig, ModelConfig))
    if resume:
        run = runs.extend_run(runs.read_run(out), of_training, of_model)
    else:
        if model == "refiner":
            shape = runs.with_refiner(init, of_model)
            training = TrainConfig(part="refiner", **of_training)
        else:
            shape, training = ModelConfig.default(model, **of_model), TrainConfig(**of_training)
        run = runs.create_run(out, data or [], shape, training, partition, init, refiner_of)
    if dry_run:
        typer.echo(json.dumps(run.to_dict(), indent=2))
        return
    with importing():
        from aleph.training import loop

    _show(loop.train(run, resume=resume, devices=loop.Devices(accelerator, devices, nodes)), out)


def _show(outcome: Outcome, out: Path) -> None:
    if not outcome.first_process:
        return
    state, hint = "finished", f"export it: aleph export {out} -o FOLDER"
    if not outcome.finished:
        state, hint = "stopped", f"go on: aleph train --resume --out {out}"
    rate = outcome.images_per_second
    typer.echo(f"{state} at step {outcome.step} ({rate:.0f} images/s); {hint}")


def export(
    source: Annotated[
        str,
        typer.Argument(
            help="Folder of a run of `aleph train`; for --onnx alone, a model's name or folder."
        ),
    ],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Model folder to write.")] = None,
    push: Annotated[
        str | None,
        typer.Option(help="Share it on the Hugging Face Hub as user/model, private at first."),
    ] = None,
    onnx: Annotated[
        Path | None,
        typer.Option(help="Write one ONNX file: encoder, generator, refiner (preset fast)."),
    ] = None,
) -> None:
    """Make a model folder of a training run, or an ONNX file of a model."""
    if out is None and onnx is None:
        raise InputError("say what to write: --out FOLDER for a run, --onnx FILE for a model")
    if out is None and push is not None:
        raise InputError("--push shares a model folder: name it with --out FOLDER")
    if out is not None:
        with importing(program=True):
            from aleph.training.export import export_run

        step = export_run(source, out)
        typer.echo(f"exported step {step} to {out}; complete its README.md, the model's card")
    if out is not None and push is not None:
        from aleph.models.hub import push_model

        typer.echo(f"shared as {push_model(out, push)}")
    if onnx is not None:
        _export_onnx(source if out is None else str(out), onnx)


def _export_onnx(model: str, path: Path) -> None:
    with importing(program=True):
        from aleph.onnx import export_onnx

    difference = export_onnx(model, path)
    typer.echo(
        f"wrote {path} ({path.stat().st_size / 1e6:.1f} MB); onnxruntime fills as torch does, to "
        f"{difference} grey levels"
    )
