"""Tests of what optional extras bring; run with ``-m extras`` where they are installed."""
