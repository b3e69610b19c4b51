"""Training samples: holes, and for detectors whole scenes, drawn anew for every step."""
