"""The command ``trioresource``; it needs the packages of ``trioresource[cli]``."""
