"""What developers and newcomers run: environment, ComfyUI, model stand-ins, demo. Not part of the node pack."""
