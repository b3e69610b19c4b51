"""Masks: what users give (nonzero = missing) → the hole (True = missing)."""
