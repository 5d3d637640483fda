"""Networks as data: the operator graph, its table of operators, and the workload that costs are computed from."""
