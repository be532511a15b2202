"""The cluster file: read, checked, loaded into a cluster."""
