"""What benches share: pictures in, figures measured and kept, tables and plots out."""
