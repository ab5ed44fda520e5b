"""`python -m fuzzer`: the same as `holdfast`."""

from fuzzer.cli import main

main()
