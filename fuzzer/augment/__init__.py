"""Training data: environments, augmented chats, written texts, and the line that guards the test.

`rows` says what a row is, `split` what may be trained on, `drawing` makes environments, `playing`
runs and scores them. `chats` reads a lab's own data in the shapes that `shapes` and `messages`
know, and `augmenting` adds to it from the `bank`, dealt evenly by `decks`. `writing` and its like
fill rows otherwise, `writers` puts them on disk in the format somebody's trainer reads.
"""
