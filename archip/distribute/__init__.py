"""Executors: where evaluations run. In this process, in local processes, or on a Ray cluster."""
