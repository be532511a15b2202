"""What authors of handlers write. Only mypy and pyright read it: it need not run."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Annotated, Any, assert_type

import trio
from pydantic import Field
from typing_extensions import override

from trioresource import (
    BackgroundCheck,
    Deadlines,
    HandlerFactory,
    NoProperties,
    OnlineScope,
    PollIntervals,
    Properties,
    ResourceHandler,
    ResourceType,
    Service,
    UnknownControlCode,
    dynamic,
    read_only,
    resource_type,
    service,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator


class Pool:
    async def ping(self) -> bool:
        return True


@asynccontextmanager
async def open_pool(dsn: str, size: int) -> AsyncGenerator[Pool, None]:
    yield Pool()


@contextmanager
def lock_file(path: str) -> Generator[int, None, None]:
    yield 1


class DatabaseProperties(Properties):
    dsn: str
    pool_size: Annotated[int, Field(ge=1, le=100), dynamic] = 10
    cluster_id: Annotated[str, read_only] = ""


@resource_type(
    "database",
    deadlines=Deadlines(pending=60.0),
    poll=PollIntervals(is_alive=5.0),
    trust_signals=True,
    property_defaults={"pool_size": 5},
)
class Database(ResourceHandler[DatabaseProperties]):
    pool: Pool

    @override
    async def open(self) -> None:
        assert_type(self.properties, DatabaseProperties)
        assert_type(self.properties.pool_size, int)
        assert_type(self.name, str)
        self.check = BackgroundCheck(self.pool.ping, every=10.0)

    @override
    async def online(self, scope: OnlineScope) -> Pool:
        assert_type(scope.name, str)
        assert_type(scope.epoch, int)
        assert_type(scope.terminated, bool)
        self.pool = await scope.enter(open_pool(self.properties.dsn, self.properties.pool_size))
        assert_type(await scope.enter(lock_file("db.lock")), int)
        scope.start_soon(self.watch, "replica", name="replication")
        scope.start_soon(self.check.run)
        assert_type(await scope.start(serve, 8080), Any)
        assert_type(scope.report_progress("schema checked", fraction=0.5), bool)
        return self.pool

    async def watch(self, replica: str) -> None:
        await trio.sleep_forever()

    @override
    def looks_alive(self) -> bool:
        return True

    @override
    async def is_alive(self) -> bool:
        return self.check.verdict()

    @override
    async def offline(self, scope: OnlineScope) -> None:
        assert_type(scope.report_failure("lost the primary"), bool)

    @override
    async def control(self, code: str, argument: Any = None) -> Any:
        if code != "vacuum":
            raise UnknownControlCode(code)
        return None

    @override
    def properties_changed(self, previous: DatabaseProperties) -> None:
        assert_type(previous.pool_size, int)
        self.log.info("%s connections", self.properties.pool_size)
        assert_type(self.log, logging.LoggerAdapter[logging.Logger])


class Cache(ResourceHandler):
    """Without an argument it has no properties."""

    @override
    async def online(self, scope: OnlineScope) -> int:
        assert_type(self.properties, NoProperties)
        return 1


class Replica(Database):
    """A type that extends another type."""

    @override
    async def online(self, scope: OnlineScope) -> Pool:
        return await super().online(scope)


# A decorated class keeps its type.
database_class: type[Database] = Database
assert_type(Database.type_info, ResourceType)
assert_type(Database(), Database)


async def serve(port: int, *, task_status: trio.TaskStatus[str]) -> None:
    task_status.started("http://localhost")
    await trio.sleep_forever()


assert_type(service(serve, 8080), Service)

# All of these can be added to a cluster.
factories: list[HandlerFactory] = [Database, Cache, Replica, service(serve, 8080), lambda: Cache()]  # noqa: PLW0108 - any function will do


# --- mistakes that a type checker must find ------------------------------------------------------


class Unsuitable(ResourceHandler[int]):  # type: ignore[type-var]  # pyright: ignore[reportInvalidTypeArguments]
    """Properties must be a Properties class."""


class WrongAnswer(ResourceHandler[NoProperties]):
    async def is_alive(self) -> str:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        return "yes"

    async def online(self) -> None:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        await trio.lowlevel.checkpoint()


def not_a_handler() -> int:
    return 1


wrong_factory: HandlerFactory = not_a_handler  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]

decorate: Callable[[type[int]], object] = resource_type("x")  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
