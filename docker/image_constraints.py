#!/usr/bin/env python3
"""Print the constraints for installing this provider into an image that has Airflow.

Packages of the image keep their version: the Airflow project tests those versions together. Other packages
get the version that this project is tested with.
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_SEPARATORS = re.compile(r"[-_.]+")


def installed_versions() -> dict[str, str]:
    """Return name and version of every package of this Python."""
    return {distribution.name: distribution.version for distribution in distributions() if distribution.name}


def merge(installed: Mapping[str, str], tested: Iterable[str]) -> list[str]:
    """Combine the versions of installed packages with the tested versions of all other packages.

    Args:
        installed: Name and version of the packages of the image.
        tested: Lines of this project's constraints.txt, `name==version`.

    Returns:
        Lines of a constraints file, sorted.
    """
    pins = {_normal(name): f"{_normal(name)}=={version}" for name, version in installed.items()}
    for line in tested:
        name = _normal(line.partition("==")[0].strip())
        if name and not name.startswith("#"):
            pins.setdefault(name, line.strip())
    return [pins[name] for name in sorted(pins)]


def _normal(name: str) -> str:
    return _SEPARATORS.sub("-", name).lower()


if __name__ == "__main__":
    lines = merge(installed_versions(), Path(sys.argv[1]).read_text(encoding="utf-8").splitlines())
    sys.stdout.write("\n".join(lines) + "\n")
