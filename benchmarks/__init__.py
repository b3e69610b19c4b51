"""The benchmarks: one command each, run as `python -m benchmarks NAME`."""
