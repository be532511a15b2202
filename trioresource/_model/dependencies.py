"""The dependencies of all resources together: their mistakes, and the order they make.

The rules are those of failover clusters ([MS-CMRP] 3.1.1.1.2): dependencies lie within
one group, have no circles and a bounded depth. Everything here takes time in proportion
to the number of resources and dependencies, and none of it is recursive.
"""

from __future__ import annotations

import difflib
from itertools import islice
from typing import TYPE_CHECKING, Final, final

from .._errors import DependencyError
from .dependency_expressions import NO_DEPENDENCIES as NO_DEPENDENCIES
from .dependency_expressions import Dependencies as Dependencies  # noqa: TC001 - a public name here
from .dependency_expressions import parse_dependencies as parse_dependencies

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAX_DEPTH: Final = 100
"""How many resources a chain of dependencies may hold ([MS-CMRP] 3.1.1.1.2)."""


def find_mistakes(
    dependencies: Mapping[str, Dependencies], groups: Mapping[str, str]
) -> tuple[str, ...]:
    """Everything that is wrong with the dependencies of a set of resources.

    Args:
        dependencies: what each resource depends on.
        groups: the group of every resource there is.

    Returns:
        One line for each mistake, in the order of the resources: names that there are
        not, dependencies on itself or into another group; then circles, of which those
        that share a resource count once; then a chain of more than ``MAX_DEPTH``.
    """
    guess = _Guess(groups)
    mistakes = [
        f"{owner}: {wrong}"
        for owner, needed in dependencies.items()
        for name in needed.names
        if (wrong := _wrong_with(owner, name, groups, guess))
    ]
    mistakes += [
        f"{circle[0]}: the dependencies are circular: {_circle_text(circle)}"
        for circle in _circles(dependencies)
        if len(circle) > 1
    ]
    depths = _depths(dependencies)
    deepest = max(dependencies, key=lambda name: depths.get(name, 0), default="")
    if depths.get(deepest, 0) > MAX_DEPTH:
        mistakes.append(
            f"{deepest}: {depths[deepest]} resources depend on each other in a chain; at most"
            f" {MAX_DEPTH} are allowed"
        )
    return tuple(mistakes)


def validate_dependencies(
    dependencies: Mapping[str, Dependencies], groups: Mapping[str, str]
) -> None:
    """Refuse dependencies that can not be.

    Args:
        dependencies: what each resource depends on.
        groups: the group of every resource there is.

    Raises:
        DependencyError: there is at least one mistake; all of them are in the message.
    """
    mistakes = find_mistakes(dependencies, groups)
    if len(mistakes) == 1:
        raise DependencyError(mistakes[0])
    if mistakes:
        text = "".join(f"\n  {mistake}" for mistake in mistakes)
        raise DependencyError(f"{len(mistakes)} mistakes in the dependencies:{text}")


def _wrong_with(owner: str, name: str, groups: Mapping[str, str], guess: _Guess) -> str:
    if name == owner:
        return "it can not depend on itself"
    if name not in groups:
        return f"it depends on {name!r}, which there is not{guess.hint(name)}"
    if owner in groups and groups[name] != groups[owner]:
        return (
            f"it is in the group {groups[owner]!r} and can not depend on {name!r} in the group"
            f" {groups[name]!r}; put both into one group"
        )
    return ""


@final
class _Guess:
    """Guesses what an unknown name should have been, while that is cheap."""

    def __init__(self, names: Iterable[str]) -> None:
        # Each guess looks at every name: without bounds, many mistakes among many names
        # would take hours.
        self._names = list(islice(names, 1000))
        self._left = 20

    def hint(self, name: str) -> str:
        if not self._left:
            return ""
        self._left -= 1
        close = difflib.get_close_matches(name, self._names, n=1)
        return f"; did you mean {close[0]!r}?" if close else ""


def _circle_text(circle: tuple[str, ...]) -> str:
    steps = [*circle, circle[0]]
    if len(steps) > 24:
        steps[10:-10] = [f"... {len(steps) - 20} more ..."]
    return " -> ".join(steps)


def _circles(dependencies: Mapping[str, Dependencies]) -> list[tuple[str, ...]]:
    """Circles that share no resource, each from where the search first met it.

    A depth-first search without recursion. A circle that is found is taken off the path
    and not entered again, so that each resource is visited once.
    """
    circles: list[tuple[str, ...]] = []
    done: set[str] = set()
    for root, needed in dependencies.items():
        path = {root: iter(needed.names)} if root not in done else {}
        while path:
            here = next(reversed(path))
            name = next(path[here], None)
            if name is None:
                done.add(here)
                path.popitem()
            elif name in path:
                circle: list[str] = []
                while name in path:
                    circle.append(path.popitem()[0])
                done.update(circle)
                circles.append(tuple(reversed(circle)))
            elif name in dependencies and name not in done:
                path[name] = iter(dependencies[name].names)
    return circles


# --- order -----------------------------------------------------------------------------


def start_order(dependencies: Mapping[str, Dependencies]) -> tuple[tuple[str, ...], ...]:
    """The order of coming online: providers first.

    Args:
        dependencies: what each resource depends on. Names that are no key of it do not
            count.

    Returns:
        Layers. A resource stands in the first layer that comes after all its providers,
        those of OR sets included; within a layer, the order is that of the mapping.

    Raises:
        DependencyError: the dependencies are circular.
    """
    depths = _depths(dependencies)
    if len(depths) < len(dependencies):
        circle = _circles(dependencies)[0]
        raise DependencyError(f"{circle[0]}: the dependencies are circular: {_circle_text(circle)}")
    layers: list[list[str]] = [[] for _ in range(max(depths.values(), default=0))]
    for name in dependencies:
        layers[depths[name] - 1].append(name)
    return tuple(tuple(layer) for layer in layers)


def stop_order(dependencies: Mapping[str, Dependencies]) -> tuple[tuple[str, ...], ...]:
    """The order of going offline, dependents first: ``start_order`` backwards.

    Args:
        dependencies: as for ``start_order``.

    Raises:
        DependencyError: the dependencies are circular.
    """
    return tuple(layer[::-1] for layer in reversed(start_order(dependencies)))


def dependents_of(dependencies: Mapping[str, Dependencies]) -> dict[str, tuple[str, ...]]:
    """Who depends on each resource, the mapping turned round.

    Args:
        dependencies: as for ``start_order``.

    Returns:
        For each key of the mapping, the names that depend on it directly, both in the
        order of the mapping.
    """
    dependents: dict[str, list[str]] = {name: [] for name in dependencies}
    for dependent, needed in dependencies.items():
        for name in needed.names:
            if name in dependents:
                dependents[name].append(dependent)
    return {name: tuple(found) for name, found in dependents.items()}


def top_level(dependencies: Mapping[str, Dependencies]) -> tuple[str, ...]:
    """The resources that no other depends on, in the order of the mapping.

    Args:
        dependencies: as for ``start_order``.
    """
    return tuple(name for name, found in dependents_of(dependencies).items() if not found)


def _depths(dependencies: Mapping[str, Dependencies]) -> dict[str, int]:
    """How many resources the longest chain down from each holds, itself included.

    Without the resources that are in a circle or depend on one.
    """
    dependents = dependents_of(dependencies)
    missing = {
        name: sum(1 for provider in needed.names if provider in dependencies)
        for name, needed in dependencies.items()
    }
    ready = [name for name, count in missing.items() if count == 0]
    depths = dict.fromkeys(ready, 1)
    for name in ready:  # grows meanwhile
        for dependent in dependents[name]:
            missing[dependent] -= 1
            if missing[dependent] == 0:
                providers = dependencies[dependent].names
                depths[dependent] = 1 + max(depths.get(provider, 0) for provider in providers)
                ready.append(dependent)
    return depths
