"""The loop, closed: two small policies trained safe, one narrowly, one on augmented environments.

`policy` learns and acts, `worlds` deals what is trained on and what is held out, `measure` trains
and counts, `summary` turns counts into rates with intervals, `table` and `figure` show them.
"""
