"""Change capture and synchronisation for Sahana databases."""

__version__ = "0.1.0"
