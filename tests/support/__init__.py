"""What the tests, the benchmarks and the demo stand on: real servers and real schemas."""
