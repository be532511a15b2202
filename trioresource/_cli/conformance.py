"""The command `trioresource test-handler`: check that a handler keeps the lifecycle's contract."""

from __future__ import annotations

import json as json_module
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._errors import PropertyError, UnknownType
from .._model.properties import read_properties
from ..config import find_type
from ..testing._conformance import Verdict, check_handler
from .exit_status import ExitStatus
from .formatting import one_line, printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .._handler import ResourceHandler
    from ..testing._conformance import CheckResult, ConformanceReport


class _Mistake(Exception):
    """An argument of the command is wrong."""


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
    """Check a handler, and print the result of each check.

    Args:
        name: a registered type, or ``package.module:Class``.
        properties: texts ``name=value``; a value is JSON, and text if it is not.
        skip: texts ``id=reason``.
        only: ids of the checks to run; all if there is none.
        real: whether the handler has real processes, threads or connections.
        schedules: the number of schedules for each check.
        replay: the token of a schedule of the only check in ``only``.
        json: whether to print one JSON object.

    Returns:
        The exit status: 1 if a check failed.
    """
    sys.path.insert(0, str(Path.cwd()))
    try:
        handler, given = _find(name, properties)
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


def _find(
    name: str, properties: Sequence[str]
) -> tuple[type[ResourceHandler[Any]], dict[str, Any]]:
    """Find the handler class, and check the properties for it."""
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
            raise _Mistake(f"{option} must have the form {form}, not {text!r}")
        if key in found:
            raise _Mistake(f"{option} {key} is given twice")
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
            "id": result.id,
            "verdict": result.verdict.value,
            "protects": result.protects,
            "detail": result.detail,
            "seconds": round(result.seconds, 3),
        }
        for result in report.results
    ]
    return {"handler": name, "passed": report.passed, "checks": checks}


def _as_text(name: str, report: ConformanceReport) -> list[str]:
    lines = [line for result in report.results for line in _lines(result)]
    return [*lines, f"{name}: {report.summary}"]


def _lines(result: CheckResult) -> list[str]:
    """Show the check in one line, and its findings below it."""
    lines = [f"{result.id:<3} {result.verdict.value:<14} {result.protects}"]
    if result.verdict is not Verdict.PASSED:
        lines += [f"    {printable(line)}" for line in result.detail.splitlines()]
    return lines
