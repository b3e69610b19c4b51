"""Training of models on one's own images: one loop for every kind of model; runs can be resumed."""
