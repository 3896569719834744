from __future__ import annotations

import dtxeth.crypto


def test_the_public_face_is_what_it_says() -> None:
    assert set(dtxeth.crypto.__all__) <= set(dir(dtxeth.crypto))
    assert dtxeth.crypto.__all__ == sorted(dtxeth.crypto.__all__)
    for name in dtxeth.crypto.__all__:
        assert getattr(dtxeth.crypto, name).__doc__, name
