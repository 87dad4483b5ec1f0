"""Whole folders, one image after the other: constant memory, and a run that was canceled goes on where it ended."""
