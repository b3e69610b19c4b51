"""Samples: what models are trained on, made from images at every step."""
