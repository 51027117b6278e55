"""Gradients without sampling error: backpropagation, enumeration, quadrature, and exact moments of other estimators."""
