"""Whole photographs."""
