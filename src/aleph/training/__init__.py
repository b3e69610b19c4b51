"""Training on one's own images: data, the steps of each kind of model, one loop, resume."""
