"""Control over which task goes next."""
