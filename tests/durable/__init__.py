"""Durability: what a stored run promises, on both backends."""
