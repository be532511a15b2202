"""Dependencies: what each resource needs, and the start order that follows from all of them.

An expression is an AND of OR sets, as ``SetClusterResourceDependencyExpression`` of
Windows failover clusters takes it; between two resources there is at most one relation.
The rules for all resources together are those of failover clusters too ([MS-CMRP]
3.1.1.1.2): dependencies lie within one group, have no circles and a bounded depth. They
are checked without recursion, in time proportional to n log n for n resources and
dependencies.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from graphlib import CycleError, TopologicalSorter
from itertools import chain, islice
from typing import Final, NoReturn, final

import attrs

from .._errors import DependencyError
from .._util.spelling import did_you_mean

MAX_DEPTH: Final = 100
"""Most resources that a chain of dependencies may hold ([MS-CMRP] 3.1.1.1.2)."""


@attrs.frozen
class Dependencies:
    """What a resource depends on: an AND of OR sets of names.

    Raises:
        DependencyError: a set is empty, a name cannot be written in brackets, or a name
            is given twice.
    """

    clauses: tuple[tuple[str, ...], ...] = ()
    """The OR sets. Of each set, at least one resource must be online."""

    def __attrs_post_init__(self) -> None:
        if not all(self.clauses):
            raise DependencyError("an OR set of dependencies needs at least one name")
        found: dict[str, int] = {}
        for name in self.names:
            if not name or name != name.strip() or "[" in name or "]" in name:
                raise DependencyError(
                    f"{name!r} cannot be the name of a dependency; a name is not empty, has no"
                    " brackets in it and no space around it"
                )
            found[name] = found.get(name, 0) + 1
        repeated = [name for name, count in found.items() if count > 1]
        if repeated:
            raise DependencyError(
                f"each dependency is named once, but {', '.join(repeated)} more often"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all resources in the expression, in the order in which it has them."""
        return tuple(chain.from_iterable(self.clauses))

    def is_satisfied(self, available: Callable[[str], bool]) -> bool:
        """Tell whether at least one resource of every OR set is available.

        Args:
            available: tells whether the resource of a name is available. It is called in
                the order of the names, and not again once the answer is certain.
        """
        return all(any(available(name) for name in clause) for clause in self.clauses)

    def __str__(self) -> str:
        sets = [" or ".join(f"[{name}]" for name in clause) for clause in self.clauses]
        if len(sets) == 1:
            return sets[0]
        return " and ".join(
            f"({text})" if len(clause) > 1 else text
            for text, clause in zip(sets, self.clauses, strict=True)
        )


NO_DEPENDENCIES: Final = Dependencies()
"""The dependencies of a resource that needs no other."""

# --- reading an expression -------------------------------------------------------------

_ALLOWED: Final = "allowed is an AND of OR sets, such as ([a] or [b]) and [c]"


def parse_dependencies(
    source: str | Iterable[str] | Dependencies | None, *, owner: str
) -> Dependencies:
    """Read what a resource depends on.

    Args:
        source: see ``read_dependencies``.
        owner: the name of the resource that depends on these.

    Returns:
        The dependencies; ``str()`` of them gives an expression that reads the same.

    Raises:
        DependencyError: the source cannot be read (the message gives the column, counted
            from 1), names a resource twice, or names the owner.
    """
    try:
        dependencies = read_dependencies(source)
        if owner in dependencies.names:
            raise DependencyError(f"{owner} cannot depend on itself")
    except DependencyError as error:
        raise DependencyError(f"dependencies of {owner}: {error}") from None
    return dependencies


def read_dependencies(source: str | Iterable[str] | Dependencies | None) -> Dependencies:
    """Read dependencies, whichever resource they belong to.

    Args:
        source: one name; or an expression, with names in brackets and ``and``, ``or`` and
            parentheses between them; or a list of names, all of them needed. None and an
            empty text are no dependencies.

    Raises:
        DependencyError: the source cannot be read, or names a resource twice.
    """
    if source is None:
        return NO_DEPENDENCIES
    if isinstance(source, Dependencies):
        return source
    if isinstance(source, str):
        text = source.strip()
        if any(mark in text for mark in "[]()"):
            return Dependencies(_Parser(source).clauses())
        return Dependencies(_bare_name(text))
    # A set has no order of its own; what is made of it would differ from run to run.
    if isinstance(source, set | frozenset) or not isinstance(source, Iterable):
        raise DependencyError(
            f"expected a name, an expression or a list of names, not a {type(source).__name__}"
        )
    names = tuple(source)
    for position, name in enumerate(names, 1):
        if not isinstance(name, str):
            raise DependencyError(f"item {position} of the list is {name!r}, which is no name")
    return Dependencies(tuple((name.strip(),) for name in names))


def _bare_name(text: str) -> tuple[tuple[str, ...], ...]:
    words = text.split()
    if any(word.lower() in ("and", "or") for word in words):
        suggestion = " ".join(
            word.lower() if word.lower() in ("and", "or") else f"[{word}]" for word in words
        )
        raise DependencyError(
            f"in the expression {text!r} names must stand in brackets: {suggestion}"
        )
    return ((text,),) if text else ()


_TOKEN: Final = re.compile(
    r"\s*(?:\[(?P<name>[^\[\]]*)\]|(?P<word>[^\s()\[\]]+)|(?P<mark>[()])|(?P<stray>\S))"
)


@final
@attrs.frozen
class _Token:
    kind: str
    """``name``, ``and``, ``or``, ``(``, ``)`` or ``end``."""
    text: str
    column: int


@final
class _Parser:
    """Reads one expression, from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = self._tokenize()
        self._token = next(self._tokens)

    def clauses(self) -> tuple[tuple[str, ...], ...]:
        sets = [self._set()]
        joint = ""
        while self._token.kind != "end":
            if self._token.kind not in ("and", "or"):
                self._refuse(self._token, f"expected 'and' or 'or' before {self._token.text}")
            if joint not in ("", self._token.kind):
                self._refuse(
                    self._token,
                    "'and' and 'or' are mixed without parentheses, so it is open which comes first",
                )
            joint = self._take()
            sets.append(self._set())
        return (tuple(chain.from_iterable(sets)),) if joint == "or" else tuple(sets)

    def _set(self) -> tuple[str, ...]:
        if self._token.kind != "(":
            return (self._name(),)
        self._take()
        names = [self._name()]
        while self._token.kind == "or":
            self._take()
            names.append(self._name())
        if self._token.kind == "and":
            self._refuse(self._token, "'and' cannot stand within parentheses")
        if self._token.kind != ")":
            self._refuse(self._token, f"expected 'or' or ')' before {self._token.text}")
        self._take()
        return tuple(names)

    def _name(self) -> str:
        if self._token.kind != "name":
            self._refuse(self._token, f"expected a name in brackets before {self._token.text}")
        return self._take()[1:-1].strip()

    def _take(self) -> str:
        text = self._token.text
        self._token = next(self._tokens)
        return text if text.startswith("[") else text.lower()

    def _tokenize(self) -> Iterator[_Token]:
        for match in _TOKEN.finditer(self._text):
            kind = str(match.lastgroup)
            text = match[0].lstrip()
            column = match.end() - len(text) + 1
            if kind == "mark" or text.lower() in ("and", "or"):
                kind = text.lower()
            token = _Token(kind, text, column)
            if kind == "word":
                self._refuse(
                    token, f"{text!r} is not understood; a name stands in brackets: [{text}]"
                )
            if kind == "stray":
                self._refuse(token, f"the bracket {text} has no counterpart")
            yield token
        yield _Token("end", "the end", len(self._text.rstrip()) + 1)

    def _refuse(self, token: _Token, wrong: str) -> NoReturn:
        raise DependencyError(f"{self._text!r}, column {token.column}: {wrong}; {_ALLOWED}")


# --- mistakes in all of them together --------------------------------------------------

_MOST_GUESSES: Final = 20
"""Unknown names for which a similar name is suggested."""
_MOST_COMPARED: Final = 1000
"""Known names that are compared with an unknown name. Without both bounds, a file with many
unknown names among many resources would take hours."""


def find_mistakes(
    dependencies: Mapping[str, Dependencies], groups: Mapping[str, str]
) -> list[tuple[str, str]]:
    """Find everything that is wrong with the dependencies of a set of resources.

    Args:
        dependencies: what each resource depends on.
        groups: the group of every resource there is.

    Returns:
        For each mistake the name of the resource that has it, and what is wrong. First,
        in the order of the resources, unknown names and dependencies on itself or into
        another group; then circles, of which those that share a resource count once; then
        a chain of more than ``MAX_DEPTH``.
    """
    mistakes: list[tuple[str, str]] = []
    compared = list(islice(groups, _MOST_COMPARED))
    guesses = 0
    for owner, needed in dependencies.items():
        for name in needed.names:
            if name == owner:
                mistakes.append((owner, "a resource cannot depend on itself"))
            elif name not in groups:
                guesses += 1
                hint = did_you_mean(name, compared) if guesses <= _MOST_GUESSES else ""
                mistakes.append((owner, f"depends on unknown resource {name!r}{hint}"))
            elif owner in groups and groups[name] != groups[owner]:
                mistakes.append((owner, _crossing(owner, name, groups)))
    mistakes += [
        (circle[0], _circle_text(circle)) for circle in _circles(dependencies) if len(circle) > 1
    ]
    layers = _layers(dependencies)
    if len(layers) > MAX_DEPTH:
        wrong = f"{len(layers)} resources depend on each other in a chain; at most {MAX_DEPTH}"
        mistakes.append((layers[-1][0], f"{wrong} are allowed"))
    return mistakes


def validate_dependencies(
    dependencies: Mapping[str, Dependencies], groups: Mapping[str, str]
) -> None:
    """Raise an error if dependencies have mistakes.

    Args:
        dependencies: what each resource depends on.
        groups: the group of every resource there is.

    Raises:
        DependencyError: the dependencies are invalid; the message lists each mistake.
    """
    mistakes = [f"{owner}: {wrong}" for owner, wrong in find_mistakes(dependencies, groups)]
    if len(mistakes) == 1:
        raise DependencyError(mistakes[0])
    if mistakes:
        text = "".join(f"\n  {mistake}" for mistake in mistakes)
        raise DependencyError(f"{len(mistakes)} mistakes in the dependencies:{text}")


def _crossing(owner: str, name: str, groups: Mapping[str, str]) -> str:
    return (
        f"depends on {name!r}, which is in group {groups[name]!r}; this resource is in group"
        f" {groups[owner]!r}, and dependencies cannot cross groups: put both into one group"
    )


def _circle_text(circle: tuple[str, ...]) -> str:
    steps = [*circle, circle[0]]
    if len(steps) > 24:
        steps[10:-10] = [f"... {len(steps) - 20} more ..."]
    return f"the dependencies are circular: {' -> '.join(steps)}"


def _circles(dependencies: Mapping[str, Dependencies]) -> list[tuple[str, ...]]:
    """Find circles that share no resource, each from where the search first met it.

    ``graphlib`` reports one circle only. This is a depth-first search without recursion;
    a circle that is found is taken off the path and not entered again, so that each
    resource is visited once.
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
    """Work out the order of coming online: providers first.

    Args:
        dependencies: what each resource depends on. Names that are not a key of it are
            left out.

    Returns:
        Layers. A resource stands in the first layer that comes after all its providers,
        those of OR sets included; within a layer, the order is that of the mapping.

    Raises:
        DependencyError: the dependencies are circular.
    """
    layers = _layers(dependencies)
    if sum(map(len, layers)) < len(dependencies):
        circle = _circles(dependencies)[0]
        raise DependencyError(f"{circle[0]}: {_circle_text(circle)}")
    return tuple(tuple(layer) for layer in layers)


def _layers(dependencies: Mapping[str, Dependencies]) -> list[list[str]]:
    """Sort resources into layers, without those that are in a circle or depend on a circle."""
    sorter = TopologicalSorter(
        {
            owner: [name for name in needed.names if name in dependencies]
            for owner, needed in dependencies.items()
        }
    )
    # After a CycleError, the sorter still gives the layers that do not need the circle.
    with suppress(CycleError):
        sorter.prepare()
    places = {name: place for place, name in enumerate(dependencies)}
    layers: list[list[str]] = []
    while ready := sorter.get_ready():
        layers.append(sorted(ready, key=places.__getitem__))
        sorter.done(*ready)
    return layers
