"""Hardware: accelerators, mappings, their costs, schedules and devices."""
