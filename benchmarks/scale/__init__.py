"""Folders and services on several workers and machines."""
