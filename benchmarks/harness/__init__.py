"""What benches share: ComfyUI and its models, figures, tables, the JSON file."""
