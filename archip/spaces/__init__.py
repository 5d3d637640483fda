"""Search spaces, one file each: of networks, of chips, of compressions, and their product."""
