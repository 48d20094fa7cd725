"""Small helpers that every room may use: files, text, installed packages."""
