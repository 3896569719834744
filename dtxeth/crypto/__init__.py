"""Cryptography without input or output.

* Paillier: :func:`generate_keypair`, :class:`Encryptor`, :class:`CipherVector`, :func:`matvec`
  and :func:`weighted_sum`.
* Finding common rows: :mod:`dtxeth.crypto.psi`, masked identifiers on ristretto255.
* Wrapping keys for their holder: :mod:`dtxeth.crypto.envelope`, HPKE.
* Trees over stored bytes: :mod:`dtxeth.crypto.merkle`.
* Secrets in parts: :mod:`dtxeth.crypto.sharing`, additive and Shamir's.
* One of two messages, without saying which: :mod:`dtxeth.crypto.transfer`.
* Polynomials over stored bytes: :mod:`dtxeth.crypto.kzg`, and :mod:`dtxeth.crypto.commitment_check` for owners.
* How many cores all of these may use, and whose: :func:`set_jobs`, :func:`set_cluster`; :func:`engine` says it.

What another party sent goes through ``CipherVector.from_bytes``, ``PublicKey.from_bytes``,
``psi.parse_points`` or ``envelope.unwrap``; what is not valid raises :class:`~dtxeth.errors.CryptoError`.
"""

from dtxeth.crypto import envelope, merkle, psi, sharing, transfer
from dtxeth.crypto.encryptor import Encryptor
from dtxeth.crypto.multiexp import matvec, weighted_sum
from dtxeth.crypto.paillier import CipherVector, PrivateKey, PublicKey, generate_keypair
from dtxeth.crypto.parallel import effective_jobs, engine, set_cluster, set_jobs

__all__ = [
    "CipherVector",
    "Encryptor",
    "PrivateKey",
    "PublicKey",
    "effective_jobs",
    "engine",
    "envelope",
    "generate_keypair",
    "matvec",
    "merkle",
    "psi",
    "set_cluster",
    "set_jobs",
    "sharing",
    "transfer",
    "weighted_sum",
]
