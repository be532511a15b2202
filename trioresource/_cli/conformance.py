"""`trioresource test-handler`: does a handler keep the contract of the lifecycle?"""

from __future__ import annotations

import json as json_module
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._errors import PropertyError, UnknownType
from .._model.properties import read_properties
from ..config._types import find_type
from ..testing._conformance import Verdict, check_handler
from .exit_status import ExitStatus
from .formatting import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .._handler import ResourceHandler
    from ..testing._conformance import CheckResult, ConformanceReport


class _Mistake(Exception):
    """What the command was given is wrong."""


def conformance(
    name: str,
    *,
    properties: Sequence[str],
    skip: Sequence[str],
    only: Sequence[str],
    real: bool,
    schedules: int | None,
    replay: str | None,
    json: bool,
) -> int:
    """Check a handler, and print what was found.

    Args:
        name: a registered type, or ``package.module:Class``.
        properties: ``name=value`` each; a value is JSON, or else text.
        skip: ``id=reason`` each.
        only: ids of the checks to run; none for all.
        real: whether it has real processes, threads or connections.
        schedules: how many for each check.
        replay: the token of a schedule of the one check in ``only``.
        json: whether to print one JSON object.

    Returns:
        The exit status: 1 if a check failed.
    """
    sys.path.insert(0, str(Path.cwd()))
    try:
        handler, given = _read(name, properties)
        report = check_handler(
            handler,
            properties=given,
            skip=_pairs(skip, "--skip", "ID=REASON"),
            only=only or None,
            real=real,
            schedules=schedules,
            replay=replay,
        )
    except (UnknownType, PropertyError, ValueError, _Mistake) as error:
        print(f"trioresource: {one_line(str(error))}", file=sys.stderr)
        return ExitStatus.USAGE
    if json:
        print(json_module.dumps(_as_json(name, report)))
    else:
        print("\n".join(_as_text(name, report)))
    return ExitStatus.OK if report.passed else ExitStatus.FAILED


def _read(
    name: str, properties: Sequence[str]
) -> tuple[type[ResourceHandler[Any]], dict[str, Any]]:
    """The class, and the properties that it accepts."""
    handler = find_type(name)
    given = {
        key: _value(text) for key, text in _pairs(properties, "--property", "NAME=VALUE").items()
    }
    read_properties(handler.properties_type, handler.type_info.property_defaults, given, owner=name)
    return handler, given


def _pairs(texts: Sequence[str], option: str, form: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise _Mistake(f"{option} {text!r}: not of the form {form}")
        if key in found:
            raise _Mistake(f"{option} {key}: given twice")
        found[key] = value
    return found


def _value(text: str) -> Any:
    try:
        return json_module.loads(text)
    except ValueError:
        return text


def _as_json(name: str, report: ConformanceReport) -> dict[str, Any]:
    checks = [
        {
            "id": one.id,
            "verdict": one.verdict.value,
            "protects": one.protects,
            "detail": one.detail,
            "seconds": round(one.seconds, 3),
        }
        for one in report.results
    ]
    return {"handler": name, "passed": report.passed, "checks": checks}


def _as_text(name: str, report: ConformanceReport) -> list[str]:
    lines = [line for one in report.results for line in _lines(one)]
    return [*lines, f"{name}: {report.summary}"]


def _lines(one: CheckResult) -> list[str]:
    """A line for the check, and what was found below it."""
    lines = [f"{one.id:<3} {one.verdict.value:<14} {one.protects}"]
    if one.verdict is not Verdict.PASSED:
        lines += [f"    {_printable(line)}" for line in one.detail.splitlines()]
    return lines


def _printable(line: str) -> str:
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in line)
