"""The contenders of the load benchmark; `benchmarks.measuring` runs each module in its own process."""
