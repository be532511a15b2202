"""Handler conformance: does a handler keep the contract of the lifecycle?"""

from __future__ import annotations

from trioresource.testing.conformance.report import CheckResult as CheckResult
from trioresource.testing.conformance.report import ConformanceReport as ConformanceReport
from trioresource.testing.conformance.report import Verdict as Verdict
from trioresource.testing.conformance.suite import check_handler as check_handler
from trioresource.testing.conformance.testcase import HandlerConformance as HandlerConformance
