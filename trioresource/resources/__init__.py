"""The resource types that come with trioresource."""

from .endpoint import Endpoint as Endpoint
from .endpoint import EndpointProperties as EndpointProperties
from .process import Process as Process
from .process import ProcessProperties as ProcessProperties
from .process import RunningProcess as RunningProcess
