"""The shipped workflows: what is in them, laid out by the sizes that nodes have in the page, and written to files."""
