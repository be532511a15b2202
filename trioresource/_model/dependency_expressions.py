"""What one resource needs before it can be online, as a value and as an expression.

An expression is an AND of OR sets, as ``SetClusterResourceDependencyExpression`` of
Windows failover clusters takes it; between two resources there is at most one relation.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Final, NoReturn, final

import attrs

from .._errors import DependencyError

_ALLOWED: Final = "allowed is an AND of OR sets, such as ([a] or [b]) and [c]"


@attrs.frozen
class Dependencies:
    """What one resource depends on: an AND of OR sets of names.

    Raises:
        DependencyError: a set is empty, a name can not be written in brackets, or a name
            stands there twice.
    """

    clauses: tuple[tuple[str, ...], ...] = ()
    """All of these are needed; of each, one resource that is online is enough."""

    def __attrs_post_init__(self) -> None:
        if not all(self.clauses):
            raise DependencyError("an OR set of dependencies needs at least one name")
        found: dict[str, int] = {}
        for name in chain.from_iterable(self.clauses):
            if not name or name != name.strip() or "[" in name or "]" in name:
                raise DependencyError(
                    f"{name!r} can not be the name of a dependency; a name is not empty, has no"
                    " brackets in it and no space around it"
                )
            found[name] = found.get(name, 0) + 1
        twice = [name for name, count in found.items() if count > 1]
        if twice:
            raise DependencyError(
                f"each dependency is named once, but {', '.join(twice)} more often"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all resources in it, in the order in which they stand there."""
        return tuple(chain.from_iterable(self.clauses))

    def is_satisfied(self, available: Callable[[str], bool]) -> bool:
        """Whether what is needed is there: at least one resource of every OR set.

        Args:
            available: whether the resource of a name is there; asked in order, and no
                more often than needed.
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
"""Of a resource that needs no other."""


# --- reading an expression -------------------------------------------------------------


def parse_dependencies(
    source: str | Iterable[str] | Dependencies | None, *, owner: str
) -> Dependencies:
    """Read what a resource depends on.

    Args:
        source: one name; or an expression, with names in brackets and ``and``, ``or`` and
            parentheses between them; or a list of names, all of them needed. None and an
            empty text are no dependencies.
        owner: the name of the resource that depends on these.

    Returns:
        The dependencies; ``str()`` of them gives an expression that reads the same.

    Raises:
        DependencyError: the text can not be read (the message tells the column, counted
            from 1), a name stands there twice, or the resource depends on itself.
    """
    if source is None:
        return NO_DEPENDENCIES
    clauses = source.clauses if isinstance(source, Dependencies) else _clauses(source, owner)
    try:
        dependencies = Dependencies(clauses)
    except DependencyError as error:
        raise DependencyError(f"dependencies of {owner}: {error}") from None
    if owner in dependencies.names:
        raise DependencyError(f"dependencies of {owner}: {owner} can not depend on itself")
    return dependencies


def _clauses(source: str | Iterable[str], owner: str) -> tuple[tuple[str, ...], ...]:
    if isinstance(source, str):
        text = source.strip()
        if not any(mark in text for mark in "[]()"):
            return _bare_name(text, owner)
        return _Parser(source, owner).clauses()
    if isinstance(source, set | frozenset) or not isinstance(source, Iterable):
        raise DependencyError(
            f"dependencies of {owner}: expected a name, an expression or a list of names, not"
            f" a {type(source).__name__}"
        )
    names = tuple(source)
    for position, name in enumerate(names, 1):
        if not isinstance(name, str):
            raise DependencyError(
                f"dependencies of {owner}: item {position} of the list is {name!r}, which is no"
                " name"
            )
    return tuple((name.strip(),) for name in names)


def _bare_name(text: str, owner: str) -> tuple[tuple[str, ...], ...]:
    words = text.split()
    if any(word.lower() in ("and", "or") for word in words):
        suggestion = " ".join(
            word.lower() if word.lower() in ("and", "or") else f"[{word}]" for word in words
        )
        raise DependencyError(
            f"dependencies of {owner}: in the expression {text!r} names must stand in brackets:"
            f" {suggestion}"
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

    def __init__(self, text: str, owner: str) -> None:
        self._text = text
        self._owner = owner
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
            self._refuse(self._token, "'and' can not stand within parentheses")
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
        raise DependencyError(
            f"dependencies of {self._owner}: {self._text!r}, column {token.column}:"
            f" {wrong}; {_ALLOWED}"
        )
