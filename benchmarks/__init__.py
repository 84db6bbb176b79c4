"""What bulkqa does, measured. `make bench` runs all and writes `benchmarks/results.json`.

Each result compares bulkqa with a plain way of doing the same, run in turn with it on the same machine, so
that ratios hold where absolute times do not.
"""
