"""A lab's own chats: read in the shapes they come in, with unrelated tools and prompts added."""
