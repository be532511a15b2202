"""`trioresource check`: the mistakes of a cluster file, or its order of coming online."""

from __future__ import annotations

import json as json_module
import re
import sys
from typing import TYPE_CHECKING, Any

from .._errors import ConfigError
from ..config import load_cluster_file
from .exit_status import ExitStatus

if TYPE_CHECKING:
    from pathlib import Path

    from ..config import ClusterConfig


def check_file(file: Path, *, json: bool) -> int:
    """Check a cluster file, and print what was found.

    Args:
        file: the cluster file.
        json: whether to print one JSON object.

    Returns:
        The exit status.
    """
    sys.path.insert(0, str(file.parent.resolve()))
    try:
        config = load_cluster_file(file)
    except ConfigError as error:
        if json:
            mistakes = [_as_json(str(file), mistake) for mistake in error.mistakes]
            print(json_module.dumps({"file": str(file), "mistakes": mistakes}))
        else:
            print(error)
        return ExitStatus.CLUSTER_FILE
    if json:
        print(json_module.dumps({"file": str(file), "mistakes": [], **_order_as_json(config)}))
    else:
        print("\n".join([f"{file} has no mistakes", *_order(config)]))
    return ExitStatus.OK


def _as_json(file: str, mistake: str) -> dict[str, Any]:
    found = re.match(r":(\d+)", mistake.removeprefix(file))
    return {"line": int(found[1]) if found else None, "mistake": mistake}


def _order_as_json(config: ClusterConfig) -> dict[str, Any]:
    return {
        "cluster": config.name,
        "groups": {group: config.start_order(group) for group in config.groups},
        "autostart": [name for name, resource in config.resources.items() if resource.autostart],
    }


def _order(config: ClusterConfig) -> list[str]:
    """Show the start order of each group, a line for each layer."""
    lines = [f"cluster {config.name}, in the order of coming online:"]
    for group in config.groups:
        layers = config.start_order(group)
        lines.append(f"  group {group}" + ("" if layers else " (empty)"))
        lines += [
            f"    {number}. {', '.join(_marked(config, name) for name in layer)}"
            for number, layer in enumerate(layers, 1)
        ]
    return lines


def _marked(config: ClusterConfig, name: str) -> str:
    return name if config.resources[name].autostart else f"{name} (no autostart)"
