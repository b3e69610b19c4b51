"""Workers: the same function over a stream of tasks, on this machine or on a Ray cluster."""
