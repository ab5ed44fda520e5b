"""What benchmarks of shrinking measure, part by part."""
