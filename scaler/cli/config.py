"""``scaler config``: looks at configuration files without running anything."""

from __future__ import annotations

import enum
import sys
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scaler.cli.extras import needing
from scaler.cli.output import FAILED, Json, as_json, fail, refuse
from scaler.core.wording import counted

if TYPE_CHECKING:
    from scaler.config.pool import PoolKey
    from scaler.config.problems import Problem
    from scaler.config.rows import Row
    from scaler.config.settings import Settings

commands = typer.Typer(help="Check, describe and explain configuration files.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(help="The file; - reads standard input.")]


class Schema(enum.StrEnum):
    """What there is a schema of."""

    FILE = "file"
    TRIGGER = "trigger"


@commands.command(
    epilog="Example: scaler config check pools.yaml && kubectl create configmap scaler --from-file pools.yaml"
)
def check(
    file: File, *, json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False
) -> None:
    """Look at a file and every pool in it, and say all that is wrong at once. Exits 1 if anything is.

    What is no fault and may surprise all the same is told as a warning: pools that are protected and only ever rise.
    """
    with needing("scaler"):
        from scaler.cli.warnings import unseen
        from scaler.config.check import checked, keys
        from scaler.config.problems import ConfigError
        from scaler.config.rising import rising
    text = read(file)
    try:
        settings = checked(text)
    except ConfigError as error:
        _print_problems(file, error.problems, json=json)
        raise typer.Exit(FAILED) from None
    pools, classes = [str(key) for key in keys(settings)], list(settings.classes)
    warm = [str(key) for key in settings.warm_pools.pools]
    risen = rising(settings)
    if json:
        only_rise: Json = {"pools": risen.pools, "classes": risen.classes}
        told: dict[str, Json] = {"file": str(file), "good": True, "problems": [], "pools": pools, "classes": classes}
        as_json({**told, "warm_pools": warm, "only_rise": only_rise})
        return
    counts = [counted(len(pools), "pool"), counted(len(classes), "class", "classes")]
    if warm:
        counts.append(counted(len(warm), "warm pool"))
    typer.echo(f"{file} is good: {', '.join(counts)}")
    if risen:
        typer.echo(f"warning: {unseen(risen)}", err=True)


@commands.command(epilog="Example: scaler config schema > scaler.schema.json")
def schema(
    *, of: Annotated[Schema, typer.Option(help="The configuration file, or a trigger's metadata.")] = Schema.FILE
) -> None:
    """Print the JSON Schema, which editors check and explain files with."""
    with needing("scaler"):
        from scaler.config.metadata import TriggerMetadata
        from scaler.config.settings import Settings
    as_json((Settings if of is Schema.FILE else TriggerMetadata).model_json_schema())


@commands.command(
    epilog="Example: scaler config explain pools.yaml agents/coder --trigger max=80 --trigger class=coding"
)
def explain(
    file: File,
    pool: Annotated[str, typer.Argument(metavar="NAMESPACE/NAME", help="The pool, named like its ScaledObject.")],
    *,
    trigger: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Metadata of the pool's trigger; repeatable.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the settings as JSON.")] = False,
) -> None:
    """Print what holds for a pool, and which layer decided each setting."""
    with needing("scaler"):
        from scaler.cli import naming, warnings
        from scaler.config.metadata import parse_metadata, pool_key
        from scaler.config.problems import ConfigError
        from scaler.config.resolve import resolve
        from scaler.config.rows import rows
    metadata, named = dict(_pair(text) for text in trigger or ()), naming.pool_key(pool)
    settings, absent = _settings(file), ""
    try:
        asked = parse_metadata(metadata)
        key = pool_key(asked, *named)
        absent = "" if str(key) in settings.pools else _absent(file, key, settings)
        spec = resolve(settings, key, asked)
    except ConfigError as error:
        fail("\n".join([*(str(problem) for problem in error.problems), *filter(None, [absent])]))
    found = rows(spec)
    if json:
        as_json({row.key: {"value": row.value, "origin": row.origin} for row in found})
    else:
        _print_rows(found)
    for told in filter(None, (absent, warnings.of_pool(spec))):
        typer.echo(told, err=True)


@commands.command(epilog="Example: scaler config example > pools.yaml")
def example() -> None:
    """Print a file with every setting at its default, and what a class and a pool look like."""
    typer.echo(files("scaler.config").joinpath("example.yaml").read_text(encoding="utf-8"), nl=False)


def read(file: Path) -> str:
    """The file's text."""
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except OSError as error:
        refuse(f"{file} cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        refuse(f"{file} is not UTF-8 text")


def _settings(file: Path) -> Settings:
    """The settings of a file that can be served."""
    from scaler.config.check import checked
    from scaler.config.problems import ConfigError

    try:
        return checked(read(file))
    except ConfigError as error:
        fail("\n".join(str(problem) for problem in error.problems))


def _absent(file: Path, key: PoolKey, settings: Settings) -> str:
    """That the file has no such pool, so that a slip of the pen is seen; one of a trigger need not be there."""
    from scaler.cli.naming import listed

    has = f"it has {listed(settings.pools)}" if settings.pools else "it has none"
    return f"{file} has no pool {key}: {has}; what holds for one that its trigger brings depends on --trigger alone"


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        refuse(f"--trigger {text!r} has no value: write KEY=VALUE, as in max=80")
    return key, value


def _print_problems(file: Path, problems: tuple[Problem, ...], *, json: bool) -> None:
    if json:
        found: list[Json] = [
            {"path": p.path, "line": p.line, "value": p.value, "allowed": p.allowed, "way_out": p.way_out}
            for p in problems
        ]
        as_json({"file": str(file), "good": False, "problems": found})
        return
    for problem in problems:
        typer.echo(f"{file}: {problem}")
    typer.echo(counted(len(problems), "problem"), err=True)


def _print_rows(found: tuple[Row, ...]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("setting", "value", "decided by", box=None, pad_edge=False)
    for row in found:
        table.add_row(Text(row.key), Text(row.text, overflow="fold"), Text(row.origin))
    Console(width=None if sys.stdout.isatty() else 200).print(table)
