"""The results of checking a handler."""

from __future__ import annotations

import enum
from collections import Counter
from typing import final

import attrs


class Verdict(enum.Enum):
    """The result of one check."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    NOT_APPLICABLE = "not applicable"


@final
@attrs.frozen(kw_only=True)
class CheckResult:
    """The result of one check of one handler, with its reason."""

    id: str
    """``C1`` and so on."""
    protects: str
    """The rule that the check protects, in a sentence."""
    verdict: Verdict
    detail: str
    """How many schedules ran; or the error, with the schedule and how to replay it; or why the
    check was skipped, or does not apply."""
    seconds: float
    """How long it took, in real seconds."""
    error: BaseException | None = attrs.field(default=None, eq=False)
    """The error, if the check failed."""


@final
@attrs.frozen(kw_only=True)
class ConformanceReport:
    """The results of ``check_handler``, check by check."""

    handler: str
    """The name of the handler that was checked."""
    results: tuple[CheckResult, ...]
    """In the order of the ids."""

    @property
    def passed(self) -> bool:
        """Whether no check failed."""
        return not self.failed

    @property
    def failed(self) -> tuple[str, ...]:
        """The ids of the checks that failed."""
        return tuple(result.id for result in self.results if result.verdict is Verdict.FAILED)

    @property
    def seconds(self) -> float:
        """How long all checks took, in real seconds."""
        return sum(result.seconds for result in self.results)

    def result(self, identifier: str) -> CheckResult:
        """Return the result of one check.

        Args:
            identifier: the id of the check.

        Raises:
            KeyError: that check did not run.
        """
        for result in self.results:
            if result.id == identifier:
                return result
        raise KeyError(identifier)

    def __str__(self) -> str:
        """Return a line for each check, and below it the details."""
        lines = [f"{self.handler}: {self.summary}"]
        for result in self.results:
            lines.append(f"{result.id:<4} {result.verdict.value:<15} {result.protects}")
            lines += [f"     {line}" for line in result.detail.splitlines()]
        return "\n".join(lines)

    @property
    def summary(self) -> str:
        """The number of checks with each verdict, in words."""
        counts = Counter(result.verdict for result in self.results)
        said = [f"{count} {verdict.value}" for verdict in Verdict if (count := counts[verdict])]
        return f"{', '.join(said) or 'nothing checked'} in {self.seconds:.1f} s"
