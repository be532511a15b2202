"""The resource types that come with trioresource."""

from .._util import public_names as _public_names
from ._process.readiness import CommandReady as CommandReady
from ._process.readiness import HttpReady as HttpReady
from ._process.readiness import LogReady as LogReady
from ._process.readiness import NotifyReady as NotifyReady
from ._process.readiness import TcpReady as TcpReady
from ._process.readiness import UnixReady as UnixReady
from .endpoint import Endpoint as Endpoint
from .endpoint import EndpointProperties as EndpointProperties
from .process import Process as Process
from .process import ProcessProperties as ProcessProperties
from .process import RunningProcess as RunningProcess
from .service import FunctionProperties as FunctionProperties
from .service import FunctionService as FunctionService

_public_names.rewrite_module(globals(), __name__)
