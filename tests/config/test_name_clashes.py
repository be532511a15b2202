"""A resource and a group cannot have the same name: commands take names of both."""

from __future__ import annotations

import pytest

from trioresource import ConfigError
from trioresource.config import parse_cluster_file

TEXT = """\
[groups.idle]

[resources.db]
type = "service"
group = "shop"
properties = { function = "trio:sleep_forever" }

[resources.%s]
type = "service"
group = "%s"
properties = { function = "trio:sleep_forever" }
"""


@pytest.mark.parametrize(
    ("name", "group"), [("idle", "shop"), ("shop", "shop"), ("shop", "other"), ("own", "own")]
)
def test_a_resource_is_not_named_like_a_group(name: str, group: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_cluster_file(TEXT % (name, group), file="c.toml")
    clash = f"there is also a group named {name!r}; rename either"
    assert any(
        mistake.startswith(f"c.toml:8: [resources.{name}]") and clash in mistake
        for mistake in caught.value.mistakes
    )


def test_no_group_is_named_default_where_no_resource_is_in_it() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_cluster_file(TEXT % ("default", "shop"), file="c.toml")
    assert not any("rename" in mistake for mistake in caught.value.mistakes)
