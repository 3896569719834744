"""The protocols: alignment, vertical linear and logistic regression, prediction."""
