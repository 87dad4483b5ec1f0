"""Whole folders of images to .sdc files and back, shared out by Ray to many workers. docs/bulk.md says how."""


class BulkError(Exception):
    """Something the person at the terminal has to know or do; shown without a traceback."""
