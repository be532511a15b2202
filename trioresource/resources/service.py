"""The resource type ``service``: an async function that a cluster file names.

It does what ``trioresource.service()`` does in a program:

```toml
[resources.web]
type = "service"
properties = { function = "shop.web:serve", args = [8080] }
```
"""

from __future__ import annotations

import inspect
import pkgutil
from typing import TYPE_CHECKING, Any

from pydantic import ValidationInfo, field_validator

from .._handler import OnlineScope, ResourceHandler, resource_type
from .._model.properties import Properties

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class FunctionProperties(Properties):
    """Which function to run, and its arguments."""

    function: str
    """``package.module:function``; an async function that takes ``task_status``."""
    args: tuple[Any, ...] = ()
    """Its positional arguments."""

    @field_validator("function")
    @classmethod
    def _check_function(cls, place: str) -> str:
        signature = inspect.signature(import_function(place))
        if "task_status" not in signature.parameters and not any(
            parameter.kind is parameter.VAR_KEYWORD for parameter in signature.parameters.values()
        ):
            raise ValueError(
                f"{place}{signature} does not take task_status; add it as a keyword and call"
                " task_status.started() once the function is ready"
            )
        return place

    @field_validator("args")
    @classmethod
    def _check_args(cls, args: tuple[Any, ...], info: ValidationInfo) -> tuple[Any, ...]:
        place = info.data.get("function")
        if place is not None:
            signature = inspect.signature(import_function(place))
            try:
                signature.bind(*args, task_status=None)
            except TypeError as error:
                raise ValueError(f"do not fit {place}{signature}: {error}") from error
        return args


@resource_type("service")
class FunctionService(ResourceHandler[FunctionProperties]):
    """An async function that runs for as long as the resource is online.

    The resource is online when the function calls ``task_status.started(value)``, and
    provides ``value``. If the function raises or returns, the resource has failed. Going
    offline cancels it.
    """

    async def online(self, scope: OnlineScope) -> Any:
        """Run the function, and wait until it calls ``task_status.started()``."""
        function = import_function(self.properties.function)
        return await scope.start(function, *self.properties.args)


def import_function(place: str) -> Callable[..., Awaitable[object]]:
    """Import an async function.

    Args:
        place: ``package.module:function``.

    Raises:
        ValueError: the function cannot be imported, or is not an async function.
    """
    if ":" not in place:
        raise ValueError(f"must have the form package.module:function, not {place!r}")
    try:
        found: Any = pkgutil.resolve_name(place)
    except (Exception, SystemExit) as error:
        # An import runs the user's code, which may raise anything: list it as a mistake.
        reason = f"{type(error).__name__}: {error}"
        raise ValueError(f"{place} cannot be imported: {reason}") from error
    if not inspect.iscoroutinefunction(inspect.unwrap(found)):
        raise ValueError(f"{place} is not an async function")
    function: Callable[..., Awaitable[object]] = found
    return function
