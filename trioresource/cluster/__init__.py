"""Policy: what should be online, and what to do upon failure."""

from .events import Subscription as Subscription
from .groups import Group as Group
from .opening import open_cluster as open_cluster
from .resource import Applied as Applied
from .resource import Resource as Resource
from .service import Cluster as Cluster
