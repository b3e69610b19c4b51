"""Options that several commands share, and options made of a configuration's fields."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import typer

Command = TypeVar("Command", bound=Callable[..., None])

MODEL_HELP = "A name of `aleph models`, a model folder, or hf://user/model@revision."
DATA_HELP = "Folders or zips of images, or CelebA's img_align_celeba."

Model = Annotated[str | None, typer.Option("--model", help=MODEL_HELP)]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1, mps.")]
Workers = Annotated[
    int | None,
    typer.Option("--workers", help="Processes on this machine, or actors of --cluster."),
]
Cluster = Annotated[
    str | None,
    typer.Option("--cluster", help="Work on a Ray cluster: its address, or auto."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
Verbose = Annotated[
    bool,
    typer.Option("--verbose", "-v", help="Show the warnings of image decoders, and other detail."),
]


def given(**options: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return the options that were given: those that are not None."""
    return {name: value for name, value in options.items() if value is not None}


def fields_of(configuration: type, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the given options that are fields of a configuration."""
    names = {field.name for field in dataclasses.fields(configuration)}
    return {name: value for name, value in given(**options).items() if name in names}


def options_of(
    configuration: type,
    *,
    without: Collection[str] = (),
    aliases: Mapping[str, str] | None = None,
    defaults: bool = False,
) -> Callable[[Command], Command]:
    """Give a command one option per field of a configuration, passed to its `**fields`.

    An option's type and help are those of the field; the help is what the "Attributes" section of
    the configuration's docstring says of it. An option that is not given is None.

    Args:
        configuration: Frozen dataclass with plain fields.
        without: Fields that get no option.
        aliases: Field → a second name of its option, as `--lambda`.
        defaults: Whether the help shows the fields' defaults.
    """
    types, helps = get_type_hints(configuration), field_help(configuration)
    options: dict[str, Any] = {}
    for field in dataclasses.fields(configuration):
        if field.name not in without:
            kind, text = types[field.name], helps[field.name]
            names = [*filter(None, [(aliases or {}).get(field.name)]), _flag(field.name, kind)]
            options[field.name] = _option(names, kind, text, _shown(field.default) * defaults)

    def extended(command: Command) -> Command:
        signature = inspect.signature(command, eval_str=True)
        own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        added = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=option)
            for name, option in options.items()
        ]
        # typer reads both of these.
        command.__signature__ = signature.replace(parameters=own + added)  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: p.annotation for p in own + added} | {"return": None}
        return command

    return extended


def field_help(configuration: type) -> dict[str, str]:
    """Return what the "Attributes" section of a dataclass's docstring says of each field."""
    _, _, section = (inspect.getdoc(configuration) or "").partition("Attributes:\n")
    entries = re.findall(r"^    (\w+): (.*(?:\n     .*)*)", section, re.MULTILINE)
    found = {name: " ".join(text.split()) for name, text in entries}
    # Under `python -OO` there are no docstrings.
    return {field.name: found.get(field.name, "") for field in dataclasses.fields(configuration)}


def _option(names: Sequence[str], kind: Any, text: str, default: str) -> Any:  # noqa: ANN401
    """Return the annotated type of an option whose values are of a type, or None."""
    if get_origin(kind) is Literal:
        text, kind = f"{text} {one_of(kind)}", str
    if default:
        text = f"{text}  [default: {default}]"
    return Annotated[kind | None, typer.Option(*names, help=text)]


def one_of(choices: Any) -> str:  # noqa: ANN401 - a typing Literal
    """Return the help that lists the values of a `Literal` type."""
    return f"One of {', '.join(get_args(choices))}."


def _flag(name: str, kind: Any) -> str:  # noqa: ANN401 - any type of a field
    """Return the option's name: `--batch-size`, or `--flip/--no-flip` of a switch."""
    words = name.replace("_", "-")
    return f"--{words}/--no-{words}" if kind is bool else f"--{words}"


def _shown(default: object) -> str:
    """Return a default as the help shows it."""
    if isinstance(default, bool):
        return "yes" if default else "no"
    return f"{default:g}" if isinstance(default, float) else str(default)
