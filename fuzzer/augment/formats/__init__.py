"""What rows are written as: one module for each format, and the list of them.

A format takes rows one at a time and keeps none. Everything is written under a temporary name and
gets its own when it is complete, so that a file that looks complete is.
"""
