"""Search for a schedule that fails, and make it simple.

Above ``_scheduling``, which runs schedules, and ``_report``, which describes them. Its order,
lowest first: ``strategies``, ``exhaustive``, ``replay``, ``portfolio``; ``shrink``,
``compare``, ``parallel``; ``explore``, ``sweep``.
"""
