"""Cryptography without input or output: Paillier vectors, set intersection, envelopes, Merkle trees."""

from dtxeth.crypto.encryptor import Encryptor
from dtxeth.crypto.multiexp import matvec
from dtxeth.crypto.paillier import CipherVector, PrivateKey, PublicKey, generate_keypair
from dtxeth.crypto.parallel import effective_jobs, set_jobs

__all__ = [
    "CipherVector",
    "Encryptor",
    "PrivateKey",
    "PublicKey",
    "effective_jobs",
    "generate_keypair",
    "matvec",
    "set_jobs",
]
