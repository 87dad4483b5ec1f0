"""Images next to their original and to other codecs: metrics, table, and one image of it all."""
