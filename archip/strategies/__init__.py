"""How candidates are proposed, one method a file."""
