"""Decentralised storage and privacy-preserving machine learning on an EVM chain."""
