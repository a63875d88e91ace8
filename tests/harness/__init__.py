"""Servers, the sweeper and a shop for tests, the demo and the benchmarks."""
