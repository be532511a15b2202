"""A function of the user's program as a resource that a cluster file can name.

The resource type ``service``, the same as ``trioresource.service()`` in a program::

    [resources.web]
    type = "service"
    properties = { function = "shop.web:serve", args = [8080] }
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
    """Which function to run, and with what."""

    function: str
    """``package.module:function``; an async function that takes ``task_status``."""
    args: tuple[Any, ...] = ()
    """Its positional arguments."""

    @field_validator("function")
    @classmethod
    def _can_be_started(cls, place: str) -> str:
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
    def _fit(cls, args: tuple[Any, ...], info: ValidationInfo) -> tuple[Any, ...]:
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
    """Runs an async function for as long as the resource is online.

    Online when the function calls ``task_status.started(value)``; ``value`` is what the
    resource provides. Its crash, or its return, is a failure. Going offline cancels it.
    """

    async def online(self, scope: OnlineScope) -> Any:
        """Run the function; online is when it says ``started``."""
        function = import_function(self.properties.function)
        return await scope.start(function, *self.properties.args)


def import_function(place: str) -> Callable[..., Awaitable[object]]:
    """Import an async function.

    Args:
        place: ``package.module:function``.

    Raises:
        ValueError: it can not be imported, or is no async function.
    """
    if ":" not in place:
        raise ValueError(f"{place!r} is not of the form package.module:function")
    try:
        found: Any = pkgutil.resolve_name(place)
    except (Exception, SystemExit) as error:
        # Importing runs code that is not ours; its error belongs in the list of mistakes.
        reason = f"{type(error).__name__}: {error}"
        raise ValueError(f"{place} can not be imported: {reason}") from error
    if not inspect.iscoroutinefunction(inspect.unwrap(found)):
        raise ValueError(f"{place} is not an async function")
    function: Callable[..., Awaitable[object]] = found
    return function
