"""What the models and their presets are worth."""
