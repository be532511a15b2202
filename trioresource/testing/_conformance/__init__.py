"""Check whether a handler keeps the contract of the lifecycle.

The highest room of the kit, above ``_search``. Its order, lowest first: ``report``,
``call_recorder``, ``subject``, ``cases``, ``check``, ``harness``; ``online_checks``,
``offline_checks``, ``failure_checks``, ``program_checks``; ``catalogue``, ``suite``,
``testcase``.
"""

from __future__ import annotations

from .report import CheckResult as CheckResult
from .report import ConformanceReport as ConformanceReport
from .report import Verdict as Verdict
from .suite import check_handler as check_handler
from .testcase import HandlerConformance as HandlerConformance
