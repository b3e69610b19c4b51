"""Quality of the models and of their presets."""
