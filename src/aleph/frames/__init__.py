"""Frames: where the square that a model sees lies in a photo, there and back."""
