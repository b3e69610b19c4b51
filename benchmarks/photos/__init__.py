"""Filling whole photographs, and finding the faces in them."""
