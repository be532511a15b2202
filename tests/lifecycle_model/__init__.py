"""The lifecycle as a model, and a driver that compares it with the implementation.

The model is a value; it knows no time but what it is told, and no tasks. A driver runs a
workload (a list of operations) on a monitor or a cluster, and gives the model everything
that can be seen, in the order in which it happened: who asked for what, what the handler
went through, which reports came, what was answered; in a cluster also which reports its engine
has taken, and when. The model says which events have to come, one by one. It raises
``Deviation``, with the number of the rule, as soon as something happens that must not, or does
not happen that must.
"""

from tests.lifecycle_model.cluster import ClusterModel as ClusterModel
from tests.lifecycle_model.clustering import run_on_cluster as run_on_cluster
from tests.lifecycle_model.hosting import run_on_monitor as run_on_monitor
from tests.lifecycle_model.observations import Ask as Ask
from tests.lifecycle_model.observations import ClusterObservation as ClusterObservation
from tests.lifecycle_model.observations import Deviation as Deviation
from tests.lifecycle_model.observations import Entry as Entry
from tests.lifecycle_model.observations import Observation as Observation
from tests.lifecycle_model.operations import Behave as Behave
from tests.lifecycle_model.operations import Do as Do
from tests.lifecycle_model.operations import Finish as Finish
from tests.lifecycle_model.operations import Late as Late
from tests.lifecycle_model.operations import Manner as Manner
from tests.lifecycle_model.operations import Operation as Operation
from tests.lifecycle_model.operations import Renew as Renew
from tests.lifecycle_model.operations import Say as Say
from tests.lifecycle_model.operations import Set as Set
from tests.lifecycle_model.operations import Wait as Wait
from tests.lifecycle_model.resource import ResourceModel as ResourceModel
from tests.lifecycle_model.resource import resource_model as resource_model
