"""The ``trioresource`` command; needs the packages of ``trioresource[cli]``."""
