"""The cluster file: read it, check it, add its resources to a cluster.

For programs that keep their resources in a file:

```python
config = load_cluster_file("cluster.toml")
async with open_cluster(shutdown_deadline=config.shutdown_deadline) as cluster:
    await add_resources(cluster, config)
    await trio.sleep_forever()
```
"""

from .._util import public_names as _public_names
from ._definition import ClusterConfig as ClusterConfig
from ._definition import GroupConfig as GroupConfig
from ._definition import ResourceConfig as ResourceConfig
from ._loading import add_resources as add_resources
from ._reading import load_cluster_file as load_cluster_file
from ._reading import parse_cluster_file as parse_cluster_file
from ._schema import TypeResolver as TypeResolver
from ._types import find_type as find_type
from ._types import known_types as known_types

_public_names.rewrite_module(globals(), __name__)
