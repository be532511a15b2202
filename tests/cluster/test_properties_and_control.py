"""Changing properties of resources, and control codes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import pytest

from trioresource import (
    Applied,
    OnlineScope,
    Properties,
    PropertyError,
    Resource,
    ResourceHandler,
    ResourceState,
    UnknownControlCode,
    dynamic,
    resource_type,
)
from trioresource._model.properties import DEFAULT

from .conftest import Server, ServerProperties

if TYPE_CHECKING:
    from trio.testing import MockClock

    from trioresource import Cluster

    from .conftest import Shop

RS = ResourceState


async def add_server(cluster: Cluster, **properties: Any) -> tuple[Resource, Server]:
    made: list[Server] = []

    def make() -> Server:
        made.append(Server())
        return made[0]

    return await cluster.add("web", make, properties=properties, group="shop"), made[0]


@pytest.mark.any_hosted
async def test_dynamic_properties_are_applied_at_once(
    shop: Shop, autojump_clock: MockClock
) -> None:
    web, server = await add_server(shop.cluster)
    await web.online()
    assert await web.set_properties(size=5, limit=7) is Applied.NOW
    assert web.properties == ServerProperties(size=5, limit=7)
    assert await web.set_properties(size=5) is Applied.NOW
    assert await web.set_properties(size=DEFAULT) is Applied.NOW
    assert server.told == [(1, 5), (5, 1)]
    assert (web.epoch, web.properties) == (1, ServerProperties(limit=7))


@pytest.mark.any_hosted
async def test_other_properties_are_applied_at_the_next_online(
    shop: Shop, autojump_clock: MockClock
) -> None:
    web, server = await add_server(shop.cluster, port=81)
    assert await web.set_properties(port=82) is Applied.AT_NEXT_ONLINE
    await web.online()
    assert web.value == 82
    assert await web.set_properties(port=83, size=5) is Applied.AT_NEXT_ONLINE
    assert web.properties == ServerProperties(port=82)  # not even the dynamic half
    assert await web.set_properties(limit=9) is Applied.AT_NEXT_ONLINE
    # Taken back: what is left is dynamic.
    assert await web.set_properties(port=82) is Applied.NOW
    assert web.properties == ServerProperties(port=82, size=5, limit=9)
    assert await web.set_properties(port=84) is Applied.AT_NEXT_ONLINE
    web.fail()
    await web.wait_state(RS.FAILED)
    assert await web.wait_online() == 84
    assert server.told == [(1, 5)]


@pytest.mark.any_hosted
async def test_mistakes_in_properties_change_nothing(shop: Shop, autojump_clock: MockClock) -> None:
    web, _ = await add_server(shop.cluster)
    await web.online()
    with pytest.raises(PropertyError) as caught:
        await web.set_properties(size=5, port="many", colour="red")
    assert len(caught.value.mistakes) == 2
    assert web.properties == ServerProperties()
    assert await web.set_properties(limit=2) is Applied.NOW
    assert web.properties == ServerProperties(limit=2)


async def test_a_handler_that_chokes_on_new_properties_fails(
    shop: Shop, autojump_clock: MockClock
) -> None:
    web, _ = await add_server(shop.cluster)
    await web.online()
    assert await web.set_properties(size=13) is Applied.AT_NEXT_ONLINE
    await web.wait_state(RS.FAILED)
    assert web.last_failure is not None
    assert "unlucky" in web.last_failure.detail
    await web.wait_online()
    assert web.properties == ServerProperties(size=13)


@pytest.mark.any_hosted
async def test_defaults_of_the_type_stand_below(shop: Shop, autojump_clock: MockClock) -> None:
    class Needy(Properties):
        host: str
        size: Annotated[int, dynamic] = 1

    @resource_type("needy", property_defaults={"host": "localhost"})
    class NeedyHandler(ResourceHandler[Needy]):
        async def online(self, scope: OnlineScope) -> None:
            pass

    needy = await shop.cluster.add("needy", NeedyHandler, group="shop")
    await needy.online()
    assert await needy.set_properties(size=2) is Applied.NOW
    assert needy.properties == Needy(host="localhost", size=2)


@pytest.mark.any_hosted
async def test_control_codes(shop: Shop, autojump_clock: MockClock) -> None:
    db = await shop.add("db")
    assert await db.control("echo", 5) == 5
    await db.online()
    assert await db.control("echo", 6) == 6
    with pytest.raises(UnknownControlCode, match="part has no control code 'dance'"):
        await db.control("dance")
    assert db.state is RS.ONLINE
