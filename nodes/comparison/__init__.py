"""Images beside their original and beside other codecs: measured, tabulated, plotted and shown."""
