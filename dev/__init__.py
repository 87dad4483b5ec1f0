"""What developers and newcomers run: environment, ComfyUI, random models, demo. Not part of the node pack."""
