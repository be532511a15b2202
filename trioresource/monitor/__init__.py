"""Mechanism: runs entry points, keeps the clocks, polls, detects; decides nothing."""

from .monitor import ResourceMonitor as ResourceMonitor
from .monitor import open_monitor as open_monitor
from .resource import HostedResource as HostedResource
from .resource import ResourceStatistics as ResourceStatistics
