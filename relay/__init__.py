"""The relay: finds other sites, exchanges changes with them, keeps its changelog current."""
