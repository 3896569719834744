"""Sealing, slicing, placement, block stores and possession proofs."""
