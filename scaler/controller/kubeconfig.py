"""Which kubeconfig is meant where several are named."""

from __future__ import annotations

import os
from pathlib import Path

import yaml


def joined(kubeconfig: Path) -> tuple[str, str | None]:
    """The files that are there, of one or of several, and their context as kubectl has it: the first that is named.

    The loader alone would take the last, and so act upon another cluster than kubectl.

    Raises:
        OSError, ValueError: none of them is there, or none is a kubeconfig, of which the loader would only log.
    """
    files = [Path(file).expanduser() for file in str(kubeconfig).split(os.pathsep) if file]
    there = [file for file in files if file.exists()] or files[:1]
    said = {file: yaml.safe_load(file.read_bytes()) for file in there}
    good = {file: each for file, each in said.items() if isinstance(each, dict)}
    if not good:
        raise ValueError("it is no kubeconfig")
    named = (str(each.get("current-context") or "") for each in good.values())
    return os.pathsep.join(str(file) for file in good), next(filter(None, named), None)
