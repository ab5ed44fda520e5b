"""Training data: environments, augmented chats, written texts, and the line that guards the test.

`rows` says what a row is, `split` what may be trained on, `drawing` makes environments, `playing`
runs and scores them; `chats`, `writing` and their like fill rows otherwise, `writers` puts them
on disk in the format somebody's trainer reads.
"""
