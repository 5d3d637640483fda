"""What leaves archip: networks, chip, schedule and report as files."""
