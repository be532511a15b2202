"""`trioresource types` and `trioresource describe`: what resource types there are."""

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
from ..config._types import find_type, known_types
from .exit_status import ExitStatus
from .formatting import one_line

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from .._model.policy import PollIntervals
    from .._model.property_descriptions import PropertyDescription


def list_types(*, json: bool) -> int:
    """Print the registered types; one that can not be loaded is listed with the reason.

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
    """Print what there is to know of a resource type.

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
    """The class, or else what is wrong with it."""
    try:
        return find_type(name), ""
    except UnknownType as error:
        return None, one_line(str(error))


def _source(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else point.value


def _doc(handler: type[ResourceHandler[Any]]) -> str:
    # Of the class itself: what it would inherit speaks of handlers in general.
    return inspect.cleandoc(handler.__doc__ or "")


def _first_line(text: str) -> str:
    return text.partition("\n")[0]


def _poll(handler: type[ResourceHandler[Any]]) -> PollIntervals:
    return handler.type_info.poll.inherit(DEFAULT_POLL_INTERVALS)


def _is_polled(handler: type[ResourceHandler[Any]]) -> bool:
    return handler.looks_alive is not ResourceHandler.looks_alive


def _properties(handler: type[ResourceHandler[Any]]) -> list[PropertyDescription]:
    """The properties, with the defaults that the type itself sets."""
    defaults = handler.type_info.property_defaults
    return [
        attrs.evolve(
            one,
            required=False,
            default=MASK if one.secret else show_value(defaults[one.name]),
        )
        if one.name in defaults
        else one
        for one in describe_properties(handler.properties_type)
    ]


def _as_json(name: str, handler: type[ResourceHandler[Any]]) -> dict[str, Any]:
    poll = _poll(handler)
    return {
        "type": name,
        "class": f"{handler.__module__}:{handler.__qualname__}",
        "doc": _doc(handler),
        "properties": [attrs.asdict(one) for one in _properties(handler)],
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
    for one in properties:
        lines += _property(one)
    deadlines, poll = handler.type_info.deadlines, _poll(handler)
    looks_alive = f"{poll.looks_alive:g} s" if _is_polled(handler) else "not polled"
    is_alive = f"{poll.is_alive:g} s"
    if (poll.failures or 1) > 1:
        is_alive += f", failed after {poll.failures} of {poll.window or poll.failures} bad answers"
    lines += [
        "",
        "Deadlines: "
        + ", ".join(f"{key} {one:g} s" for key, one in attrs.asdict(deadlines).items()),
        f"Polls: looks-alive {looks_alive}; is-alive {is_alive}",
    ]
    return lines


def _property(one: PropertyDescription) -> list[str]:
    marks = [
        mark
        for mark, holds in (
            ("required", one.required),
            ("dynamic", one.dynamic),
            ("read-only", one.read_only),
            ("secret", one.secret),
        )
        if holds
    ]
    if one.default is not None:
        marks.append(f"default: {one_line(one.default)}")
    lines = [f"  {one.name}: {one.allowed}" + (f" ({'; '.join(marks)})" if marks else "")]
    if one.doc:
        text = " ".join(one.doc.split())
        lines += textwrap.wrap(text, width=92, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return lines
