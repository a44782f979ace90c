"""What benchmarks of trainings measure with."""
