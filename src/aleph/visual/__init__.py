"""Pictures of results: figures, animations, and the part of a photo that they show."""
