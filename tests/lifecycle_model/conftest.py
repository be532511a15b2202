from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module", autouse=True)
def silent_log() -> Iterator[None]:
    """Log nothing: pytest would format the traceback of each failure in thousands of schedules."""
    logger = logging.getLogger("trioresource.cluster")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(level)
