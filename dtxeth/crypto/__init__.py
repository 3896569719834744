"""Cryptography without input or output: Paillier vectors, set intersection, envelopes, Merkle trees."""
