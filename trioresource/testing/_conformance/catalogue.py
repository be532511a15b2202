"""All checks of the contract, by their ids."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from . import failure_checks, offline_checks, online_checks, program_checks

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .check import Check

CHECKS: Final[dict[str, Check]] = {
    check.id: check
    for check in (
        online_checks.open_then_close,
        online_checks.comes_online,
        online_checks.slow_online,
        online_checks.tie_at_the_soft_deadline,
        online_checks.online_that_raises,
        offline_checks.terminate_beside_online,
        offline_checks.terminate_at_odd_times,
        offline_checks.terminate_beside_offline,
        online_checks.one_instance,
        online_checks.online_when_online,
        online_checks.online_again,
        offline_checks.offline_is_idempotent,
        offline_checks.cancelled_anywhere,
        offline_checks.everything_cancelled,
        failure_checks.killed_from_outside,
        failure_checks.fails_once,
        failure_checks.dies_meanwhile,
        program_checks.loop_stays_free,
        program_checks.nothing_left,
        offline_checks.close_in_any_state,
        program_checks.any_commands,
        program_checks.same_again,
    )
}
"""All checks, in the order of their ids."""

_ID: Final = re.compile(r"[Cc]0*([1-9]\d*)")


def select(names: Iterable[str] | None) -> list[Check]:
    """Return the checks of these ids, in the order of the catalogue; all for ``None``.

    Raises:
        ValueError: some ids are unknown; the message names all of them.
    """
    if names is None:
        return list(CHECKS.values())
    wanted = _known(names)
    return [check for check in CHECKS.values() if check.id in wanted]


def read_skips(skip: Mapping[str, str]) -> dict[str, str]:
    """Return the reasons for which checks are skipped, by their ids.

    Raises:
        ValueError: an id is unknown, or a reason is empty; the message names all mistakes.
    """
    mistakes = []
    try:
        _known(skip)
    except ValueError as error:
        mistakes.append(str(error))
    for name, reason in skip.items():
        if not reason.strip():
            mistakes.append(f"{name} cannot be skipped without a reason: say why")
    if mistakes:
        raise ValueError("; ".join(mistakes))
    return {_canonical(name): reason.strip() for name, reason in skip.items()}


def _canonical(name: str) -> str:
    match = _ID.fullmatch(name.strip())
    return name if match is None else f"C{match[1]}"


def _known(names: Iterable[str]) -> list[str]:
    found = {name: _canonical(name) for name in names}
    unknown = [name for name, canonical in found.items() if canonical not in CHECKS]
    if unknown:
        missing = ", ".join(map(repr, unknown))
        raise ValueError(f"there is no check {missing}; known: {', '.join(CHECKS)}")
    return list(found.values())
