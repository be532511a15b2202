"""Whether the same decisions lead to the same: in each run, process, interpreter and Trio.

``python -m tests.testing.determinism`` tells the digests of 200 traces, and whether they
are those in ``digests.txt``.
"""
