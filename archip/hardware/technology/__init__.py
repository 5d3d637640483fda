"""Technology tables: energies and areas of a process node, each with its source."""
