"""Values and decisions: no trio, no I/O; every rule here is a pure function."""
