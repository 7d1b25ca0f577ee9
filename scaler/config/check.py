"""A whole file looked at: the file itself, and every pool that it holds."""

from __future__ import annotations

from collections.abc import Iterator

from scaler.config.blame import Path, line_of
from scaler.config.metadata import TriggerMetadata
from scaler.config.pool import PoolKey
from scaler.config.problems import ConfigError, Problem, under
from scaler.config.reading import Document, read_yaml
from scaler.config.resolve import contradictions, resolve
from scaler.config.settings import Settings, settings_of
from scaler.config.warm import warm_keys, warm_spec


def checked(text: str) -> Settings:
    """Read a file that can be served.

    Raises:
        ConfigError: with everything that is wrong with the file, or, where it can be read, with its pools and classes.
            An empty file is wrong: one that was cut to nothing must not take every pool away.
    """
    document = read_yaml(text)
    if document.value is None and not document.problems:
        way_out = "write {} into it if it is to have no pools"
        raise ConfigError([Problem(path="the file", value=None, allowed="must not be empty", way_out=way_out)])
    settings = settings_of(document)
    found = (*_pools(settings, document), *_unused_classes(settings, document), *_warm_pools(settings, document))
    if found:
        raise ConfigError(found)
    return settings


def keys(settings: Settings) -> tuple[PoolKey, ...]:
    """The pools that the file itself holds."""
    return tuple(PoolKey(*name.split("/", 1)) for name in settings.pools)


def _pools(settings: Settings, document: Document) -> Iterator[Problem]:
    for key in keys(settings):
        try:
            resolve(settings, key, TriggerMetadata())
        except ConfigError as error:
            yield from _placed(("pools", str(key)), error.problems, document)


def _warm_pools(settings: Settings, document: Document) -> Iterator[Problem]:
    for key in warm_keys(settings.warm_pools):
        try:
            warm_spec(settings.warm_pools, key, settings.mode)
        except ConfigError as error:
            yield from _placed(("warm_pools", "pools", str(key)), error.problems, document)


def _unused_classes(settings: Settings, document: Document) -> Iterator[Problem]:
    """Classes that wait for pools from the cluster: what contradicts itself there would only be seen then."""
    used = {pool.class_ for pool in settings.pools.values()}
    for name in settings.classes:
        if name not in used:
            yield from _placed(("classes", name), contradictions(settings, name), document)


def _placed(base: Path, problems: tuple[Problem, ...], document: Document) -> Iterator[Problem]:
    """The problems under the section they were found in, each with the nearest line."""
    for problem in problems:
        line = line_of((*base, *problem.path.split(".")), document.lines)
        yield under(".".join(str(p) for p in base), problem, line=line)
