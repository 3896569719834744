"""Paillier vectors against phe, and against HEU (sf-heu) where it is installed: 2048 bits, one core.

    python scripts/bench/paillier.py [--json FILE] [--cores N] [--repeats N]

Encryption is by others than the owner of the key, and by the owner, for whom phe and HEU have no faster way.
The matrix has 455 × 15 numbers of 24 bits and both signs (HEU multiplies by positive ones three times as
fast); phe and HEU multiply and add element by element.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import phe.paillier as phe
from _harness import Case, measure, options, report

from dtxeth.crypto import Encryptor, generate_keypair, matvec, set_jobs

ROWS, COLUMNS, FEATURE_BITS = 455, 15, 24
BATCH = 100


def main() -> None:
    """Measure and report."""
    asked = options(__doc__ or "")
    set_jobs(asked.cores)
    random = np.random.default_rng(1)
    vector = random.integers(-(2**40), 2**40, ROWS)
    factors = random.integers(-(2 ** (FEATURE_BITS - 1)), 2 ** (FEATURE_BITS - 1), ROWS)
    matrix = random.integers(-(2 ** (FEATURE_BITS - 1)), 2 ** (FEATURE_BITS - 1), (ROWS, COLUMNS))
    engines = {"dtxeth": _dtxeth, "phe": _phe, "HEU": _heu}
    cases: dict[str, dict[str, Case]] = {}
    for engine, prepare in engines.items():
        for operation, case in prepare(vector, factors, matrix).items():
            cases.setdefault(operation, {})[engine] = case

    figures, rows = {}, []
    for operation, of_engines in cases.items():
        seconds = measure(of_engines, asked.repeats, asked.clock)
        ratios = {engine: seconds[engine] / seconds["dtxeth"] for engine in seconds if engine != "dtxeth"}
        figures |= {f"{operation}_vs_{engine.lower()}": round(ratio, 2) for engine, ratio in ratios.items()}
        row = [operation.replace("_", " ")]
        row += [f"{1e6 * seconds[engine]:,.0f}" if engine in seconds else "—" for engine in engines]
        row += [f"{ratios[engine]:.1f}" if engine in ratios else "—" for engine in ("phe", "HEU")]
        rows.append(row)
    columns = ["µs an operation", *engines, "× phe", "× HEU"]
    report(f"Paillier, 2048 bits, matrix {ROWS} × {COLUMNS}", columns, rows, figures, asked.json)


Numbers = np.ndarray[Any, np.dtype[np.int64]]


def _dtxeth(vector: Numbers, factors: Numbers, matrix: Numbers) -> dict[str, Case]:
    key = generate_keypair()
    other, owner = Encryptor(key.public_key), Encryptor(key)
    numbers, multipliers = vector.tolist(), factors.tolist()
    ciphers = owner.encrypt(numbers)
    assert key.decrypt(matvec(ciphers, matrix)) == (matrix.T.astype(object) @ vector).tolist()
    return {
        "encrypt": Case(lambda: other.encrypt(numbers), ROWS),
        "encrypt_by_owner": Case(lambda: owner.encrypt(numbers), ROWS),
        "add": Case(lambda: ciphers + ciphers, ROWS),
        "multiply": Case(lambda: ciphers * multipliers, ROWS),
        "matvec": Case(lambda: matvec(ciphers, matrix)),
        "decrypt": Case(lambda: key.decrypt(ciphers[:BATCH]), BATCH),
    }


def _phe(vector: Numbers, factors: Numbers, matrix: Numbers) -> dict[str, Case]:
    public, private = phe.generate_paillier_keypair(n_length=2048)
    numbers, multipliers, few = vector.tolist(), factors.tolist(), BATCH // 5
    ciphers = [public.encrypt(number) for number in numbers]

    def product() -> list[phe.EncryptedNumber]:
        columns = matrix.T.tolist()
        return [sum(cipher * x for cipher, x in zip(ciphers, column, strict=True)) for column in columns]

    def encrypt() -> list[phe.EncryptedNumber]:
        return [public.encrypt(number) for number in numbers[:few]]

    return {
        "encrypt": Case(encrypt, few),
        "encrypt_by_owner": Case(encrypt, few),
        "add": Case(lambda: [cipher + cipher for cipher in ciphers], ROWS),
        "multiply": Case(lambda: [c * x for c, x in zip(ciphers, multipliers, strict=True)], ROWS),
        "matvec": Case(product),
        "decrypt": Case(lambda: [private.decrypt(cipher) for cipher in ciphers[:few]], few),
    }


def _heu(vector: Numbers, factors: Numbers, matrix: Numbers) -> dict[str, Case]:
    try:
        from heu import numpy as hnp
        from heu import phe as heu
    except ImportError:
        return {}
    kit = hnp.setup(heu.SchemaType.ZPaillier, 2048)
    encryptor, decryptor, evaluator = kit.encryptor(), kit.decryptor(), kit.evaluator()
    encoder = heu.IntegerEncoderParams(1)
    numbers, multipliers = kit.array(vector, encoder), kit.array(factors, encoder)
    columns = [kit.array(column, encoder) for column in matrix.T]
    ciphers = encryptor.encrypt(numbers)
    some = encryptor.encrypt(kit.array(vector[:BATCH], encoder))
    return {
        "encrypt": Case(lambda: encryptor.encrypt(numbers), ROWS),
        "encrypt_by_owner": Case(lambda: encryptor.encrypt(numbers), ROWS),
        "add": Case(lambda: evaluator.add(ciphers, ciphers), ROWS),
        "multiply": Case(lambda: evaluator.mul(ciphers, multipliers), ROWS),
        "matvec": Case(lambda: [evaluator.sum(evaluator.mul(ciphers, column)) for column in columns]),
        "decrypt": Case(lambda: decryptor.decrypt(some), BATCH),
    }


if __name__ == "__main__":
    main()
