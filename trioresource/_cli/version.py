"""The version of trioresource."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def installed_version() -> str:
    """Return the version of the installed distribution, or say that there is none."""
    try:
        return version("trioresource")
    except PackageNotFoundError:
        return "unknown: trioresource is not installed"
