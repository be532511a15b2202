"""Handler conformance: does a handler keep the contract of the lifecycle?"""

from __future__ import annotations

from .report import CheckResult as CheckResult
from .report import ConformanceReport as ConformanceReport
from .report import Verdict as Verdict
from .suite import check_handler as check_handler
from .testcase import HandlerConformance as HandlerConformance
