"""What a check of a handler has found."""

from __future__ import annotations

import enum
from typing import final

import attrs

__all__ = ["CheckResult", "ConformanceReport", "Verdict"]


class Verdict(enum.Enum):
    """How one check came out."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    NOT_APPLICABLE = "not applicable"


@final
@attrs.frozen(kw_only=True)
class CheckResult:
    """One check of one handler."""

    id: str
    """``C1`` and so on."""
    protects: str
    """What the check protects, in a sentence."""
    verdict: Verdict
    detail: str
    """How many schedules ran; or what was found, with the schedule and how to replay it; or
    why it was skipped, or does not apply."""
    seconds: float
    """How long it took, in real seconds."""
    error: BaseException | None = attrs.field(default=None, eq=False)
    """What was found."""


@final
@attrs.frozen(kw_only=True)
class ConformanceReport:
    """What ``check_handler`` has found, check by check."""

    handler: str
    """What was checked."""
    results: tuple[CheckResult, ...]
    """In the order of the ids."""

    @property
    def passed(self) -> bool:
        """Whether no check failed."""
        return not self.failed

    @property
    def failed(self) -> tuple[str, ...]:
        """The ids of the checks that failed."""
        return tuple(one.id for one in self.results if one.verdict is Verdict.FAILED)

    @property
    def seconds(self) -> float:
        """How long all took, in real seconds."""
        return sum(one.seconds for one in self.results)

    def result(self, identifier: str) -> CheckResult:
        """The result of one check.

        Args:
            identifier: its id.

        Raises:
            KeyError: it was not among the checks that were asked for.
        """
        for one in self.results:
            if one.id == identifier:
                return one
        raise KeyError(identifier)

    def __str__(self) -> str:
        """A line for each check, and below it what was found."""
        lines = [f"{self.handler}: {self.summary}"]
        for one in self.results:
            lines.append(f"{one.id:<4} {one.verdict.value:<15} {one.protects}")
            lines += [f"     {line}" for line in one.detail.splitlines()]
        return "\n".join(lines)

    @property
    def summary(self) -> str:
        """How many checks came out how, in words."""
        counts = {
            verdict: sum(1 for one in self.results if one.verdict is verdict) for verdict in Verdict
        }
        said = [f"{count} {verdict.value}" for verdict, count in counts.items() if count]
        return f"{', '.join(said) or 'nothing checked'} in {self.seconds:.1f} s"
