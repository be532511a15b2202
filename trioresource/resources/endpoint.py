"""The resource type ``endpoint``: a server that others run and that must be reachable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field, model_validator

from .._handler import ResourceHandler, resource_type
from .._model.policy import PollIntervals
from .._model.properties import Properties, dynamic
from . import _probes
from ._probes import Address, Headers, HttpRequest, Regex, Seconds, Status, Url

if TYPE_CHECKING:
    from .._handler import OnlineScope

_HTTP_ONLY = ("status", "body", "headers", "verify")


class EndpointProperties(Properties):
    """Where the server is and what it must answer; give exactly one of ``tcp`` and ``http``."""

    tcp: Address | None = None
    """``host:port`` that must accept connections."""
    http: Url | None = None
    """A URL that must answer a GET request; redirections are not followed."""
    status: Annotated[Status, dynamic] = "200-399"
    """The statuses of a good answer: 200, "200-399", or a list of these."""
    body: Annotated[Regex | None, dynamic] = None
    """A regular expression that the body must match somewhere."""
    headers: Annotated[Headers, dynamic] = Field(default_factory=dict)
    """Headers to send."""
    verify: Annotated[bool, dynamic] = True
    """Whether the certificate of an https server must be valid."""
    timeout: Annotated[Seconds, dynamic] = 5.0
    """Seconds that one probe may take."""
    every: Annotated[Seconds, dynamic] = 1.0
    """Seconds between probes while the server is not reachable; the first ones are faster."""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.tcp is None) == (self.http is None):
            raise ValueError("give exactly one of tcp and http")
        unused = [name for name in _HTTP_ONLY if name in self.model_fields_set]
        if self.http is None and unused:
            raise ValueError(f"{', '.join(unused)}: only together with http")
        return self


@resource_type("endpoint", poll=PollIntervals(is_alive=10.0))
class Endpoint(ResourceHandler[EndpointProperties]):
    """A server that others run: online when it is reachable, failed when it is not.

    The resource provides the address. It starts and stops nothing. While the server is
    not reachable yet, each new reason is reported as progress. The same reason again is
    not, so that the pending deadline bounds the wait.
    """

    async def online(self, scope: OnlineScope) -> str:
        """Wait until the server is reachable."""
        await _probes.until_well(
            self._probe, every=lambda: self.properties.every, report=scope.report_progress
        )
        return self.properties.tcp or self.properties.http or ""

    async def is_alive(self) -> bool:
        """Whether the server is reachable."""
        trouble = await self._probe()
        if trouble:
            self.log.warning("is not reachable: %s", trouble)
        return not trouble

    async def _probe(self) -> str:
        return await _probes.bounded(self._look, self.properties.timeout)

    async def _look(self) -> str:
        properties = self.properties
        if properties.tcp is not None:
            return await _probes.probe_tcp(properties.tcp)
        assert properties.http is not None
        return await _probes.probe_http(HttpRequest.to(properties.http, properties))
