"""`python run.py bulk`: folders of pictures to .sdc files and back, shared out by Ray to many workers."""
