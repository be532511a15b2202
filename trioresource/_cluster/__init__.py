"""Policy: what should be online, and what to do upon failure."""

from .cluster import Cluster as Cluster
from .cluster import open_cluster as open_cluster
from .event_log import Subscription as Subscription
from .group import Group as Group
from .health import Health as Health
from .health import HealthStatus as HealthStatus
from .resource import Applied as Applied
from .resource import Resource as Resource
