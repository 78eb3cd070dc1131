"""Alembic's side of the installation: frozen, one revision after the other."""
