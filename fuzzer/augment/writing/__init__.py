"""What a model writes for training: stages, the bill, the journal, and the gate before a row."""
