"""Blending: putting generated pixels into the photo."""
