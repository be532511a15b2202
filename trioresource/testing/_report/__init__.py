"""Describe schedules and explorations, as values and as text.

Above ``_scheduling``, which runs schedules; ``_search`` makes the values. Its order, lowest
first: ``tokens``, ``schedule``, ``exploration``.
"""
