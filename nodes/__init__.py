"""ComfyUI on one side, the codec on the other. A node is a schema and a short `execute`."""
