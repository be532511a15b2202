"""Mechanism: runs entry points, keeps the clocks, polls, detects; decides nothing."""

from .hosted import HostedResource as HostedResource
from .hosted import ResourceStatistics as ResourceStatistics
from .monitor import ResourceMonitor as ResourceMonitor
from .monitor import open_monitor as open_monitor
