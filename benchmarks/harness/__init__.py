"""What benches share: images in, figures measured and kept, tables and plots out."""
