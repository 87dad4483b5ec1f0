"""What is stored next to an image: its prompt, its workflow, and how it was made."""
