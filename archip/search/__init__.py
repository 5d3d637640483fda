"""The search: a problem made ready, the cascade of evaluators, the ask/tell loop, and the finish."""
