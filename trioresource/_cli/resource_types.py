"""`trioresource types` and `trioresource describe`: resource types and their properties."""

from __future__ import annotations

import inspect
import json as json_module
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from .._errors import UnknownType
from .._handler import ResourceHandler
from .._model.policy import DEFAULT_POLL_INTERVALS
from .._model.property_descriptions import MASK, describe_properties, show_value
from ..config import find_type, known_types
from .exit_status import ExitStatus
from .formatting import one_line

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from .._model.policy import PollIntervals
    from .._model.property_descriptions import PropertyDescription


def list_types(*, json: bool) -> int:
    """Print the registered types; for a type that cannot be loaded, print the reason.

    Args:
        json: whether to print a JSON object for each.

    Returns:
        The exit status, 0 also if some are broken.
    """
    points = known_types()
    width = max((len(name) for name in points), default=0)
    for name, point in points.items():
        handler, problem = _try_to_find(name)
        doc = _first_line(_doc(handler)) if handler else ""
        source = _source(point)
        if json:
            keys = {"type": name, "doc": doc, "class": point.value, "from": source}
            print(json_module.dumps({**keys, "broken": problem or None}))
        elif problem:
            print(f"{name:<{width}}  BROKEN: {problem} (from {source})")
        else:
            print(f"{name:<{width}}  {doc} (from {source})")
    return ExitStatus.OK


def describe_type(name: str, *, json: bool) -> int:
    """Print the documentation, properties, deadlines and poll intervals of a resource type.

    Args:
        name: a registered type, or ``package.module:Class``.
        json: whether to print one JSON object.

    Returns:
        The exit status.
    """
    sys.path.insert(0, str(Path.cwd()))
    handler, problem = _try_to_find(name)
    if handler is None:
        print(f"trioresource: {problem}", file=sys.stderr)
        return ExitStatus.USAGE
    if json:
        print(json_module.dumps(_as_json(name, handler)))
    else:
        print("\n".join(_as_text(name, handler)))
    return ExitStatus.OK


def _try_to_find(name: str) -> tuple[type[ResourceHandler[Any]] | None, str]:
    """Find the class of a type; if it cannot be found, None and the reason."""
    try:
        return find_type(name), ""
    except UnknownType as error:
        return None, one_line(str(error))


def _source(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else point.value


def _doc(handler: type[ResourceHandler[Any]]) -> str:
    # Of the class itself: an inherited docstring would describe handlers in general.
    return inspect.cleandoc(handler.__doc__ or "")


def _first_line(text: str) -> str:
    return text.partition("\n")[0]


def _poll(handler: type[ResourceHandler[Any]]) -> PollIntervals:
    return handler.type_info.poll.inherit(DEFAULT_POLL_INTERVALS)


def _is_polled(handler: type[ResourceHandler[Any]]) -> bool:
    return handler.looks_alive is not ResourceHandler.looks_alive


def _properties(handler: type[ResourceHandler[Any]]) -> list[PropertyDescription]:
    """Describe the properties, with the defaults that the type sets."""
    defaults = handler.type_info.property_defaults
    return [
        attrs.evolve(
            described,
            required=False,
            default=MASK if described.secret else show_value(defaults[described.name]),
        )
        if described.name in defaults
        else described
        for described in describe_properties(handler.properties_type)
    ]


def _as_json(name: str, handler: type[ResourceHandler[Any]]) -> dict[str, Any]:
    poll = _poll(handler)
    return {
        "type": name,
        "class": f"{handler.__module__}:{handler.__qualname__}",
        "doc": _doc(handler),
        "properties": [attrs.asdict(described) for described in _properties(handler)],
        "deadlines": attrs.asdict(handler.type_info.deadlines),
        "poll": {
            "looks_alive": poll.looks_alive if _is_polled(handler) else None,
            "is_alive": poll.is_alive,
            "failures": poll.failures or 1,
            "window": poll.window or poll.failures or 1,
        },
        "trust_signals": handler.type_info.trust_signals,
    }


def _as_text(name: str, handler: type[ResourceHandler[Any]]) -> list[str]:
    lines = [f"{name} ({handler.__module__}:{handler.__qualname__})"]
    doc = _doc(handler)
    if doc:
        lines += ["", doc]
    properties = _properties(handler)
    lines += ["", "Properties:" if properties else "It has no properties."]
    for described in properties:
        lines += _property(described)
    deadlines, poll = handler.type_info.deadlines, _poll(handler)
    looks_alive = f"{poll.looks_alive:g} s" if _is_polled(handler) else "not polled"
    is_alive = f"{poll.is_alive:g} s"
    if (poll.failures or 1) > 1:
        is_alive += f", failed after {poll.failures} of {poll.window or poll.failures} bad answers"
    lines += [
        "",
        "Deadlines: "
        + ", ".join(f"{key} {seconds:g} s" for key, seconds in attrs.asdict(deadlines).items()),
        f"Polls: looks-alive {looks_alive}; is-alive {is_alive}",
    ]
    return lines


def _property(described: PropertyDescription) -> list[str]:
    marks = [
        mark
        for mark, holds in (
            ("required", described.required),
            ("dynamic", described.dynamic),
            ("read-only", described.read_only),
            ("secret", described.secret),
        )
        if holds
    ]
    if described.default is not None:
        marks.append(f"default: {one_line(described.default)}")
    head = f"  {described.name}: {described.allowed}"
    lines = [head + (f" ({'; '.join(marks)})" if marks else "")]
    if described.doc:
        text = " ".join(described.doc.split())
        lines += textwrap.wrap(text, width=92, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return lines
