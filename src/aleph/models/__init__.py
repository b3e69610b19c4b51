"""Models: networks, model folders, devices, and the models that ship with aleph."""
