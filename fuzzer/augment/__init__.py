"""Training data: environments, augmented chats, written texts, and the line that guards the test.

`rows` says what a row is, `split` what may be trained on, `contamination` holds the one to the
other. `drawing` makes environments and `playing` runs and scores them; `harvest` takes rows from a
run, `chats` from a lab's own data, `writing` from a model. `export` puts rows on disk in the
`formats` that trainers read.
"""
