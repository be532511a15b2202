"""Control which task goes next.

The lowest room of the kit. Its order, lowest first: ``findings``, ``options``, ``strategy``,
``stacks``, ``tracing``, ``fake_process``, ``external_waits``, ``gated_task``, ``controller``,
``task_gate``, ``clock``, ``running``, ``scenario``; ``overrides`` stands by itself.
Where a lower module must call the controller, it declares the Protocol that it needs.
"""
