"""`python run.py bulk`: folders of images to .sdc files and back, shared out by Ray to many workers."""
