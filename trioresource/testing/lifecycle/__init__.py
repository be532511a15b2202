"""The lifecycle as a model, and a driver that compares it with the implementation.

The model is a value; it knows no time but what it is told, and no tasks. A driver runs a
workload (a list of operations) on a monitor or a cluster, and gives the model everything
that can be seen, in the order in which it happened: who asked for what, what the handler
went through, which reports came, what was answered; in a cluster also which reports its engine
has taken, and when. The model says which events have to come, one by one. It raises
``Deviation``, with the number of the rule, as soon as something happens that must not, or does
not happen that must.
"""

from trioresource.testing.lifecycle.cluster import ClusterModel as ClusterModel
from trioresource.testing.lifecycle.clustering import run_on_cluster as run_on_cluster
from trioresource.testing.lifecycle.hosting import run_on_monitor as run_on_monitor
from trioresource.testing.lifecycle.observations import Ask as Ask
from trioresource.testing.lifecycle.observations import ClusterObservation as ClusterObservation
from trioresource.testing.lifecycle.observations import Deviation as Deviation
from trioresource.testing.lifecycle.observations import Entry as Entry
from trioresource.testing.lifecycle.observations import Observation as Observation
from trioresource.testing.lifecycle.operations import Behave as Behave
from trioresource.testing.lifecycle.operations import Do as Do
from trioresource.testing.lifecycle.operations import Finish as Finish
from trioresource.testing.lifecycle.operations import Late as Late
from trioresource.testing.lifecycle.operations import Manner as Manner
from trioresource.testing.lifecycle.operations import Operation as Operation
from trioresource.testing.lifecycle.operations import Say as Say
from trioresource.testing.lifecycle.operations import Set as Set
from trioresource.testing.lifecycle.operations import Wait as Wait
from trioresource.testing.lifecycle.resource import ResourceModel as ResourceModel
