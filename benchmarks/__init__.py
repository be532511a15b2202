"""How fast and how small the hot paths are, side by side with bare Trio.

``python -m benchmarks`` runs them all; docs/benchmarks.md says what each one measures.
"""
