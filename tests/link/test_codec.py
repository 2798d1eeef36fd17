"""The frames' encoding, against COBS's definition and published vectors."""

import random

import pytest

from edgetrain.link.codec import Frame, FrameError, cobs_decode, cobs_encode, decode, encode

# From S. Cheshire, M. Baker: Consistent Overhead Byte Stuffing (1999) and its common examples.
VECTORS = [
    (b"", b"\x01"),
    (b"\0", b"\x01\x01"),
    (b"\0\0", b"\x01\x01\x01"),
    (b"\x11\x22\x00\x33", b"\x03\x11\x22\x02\x33"),
    (b"\x11\x00\x00\x00", b"\x02\x11\x01\x01\x01"),
    (bytes(range(1, 255)), b"\xff" + bytes(range(1, 255))),
    (bytes(range(255)), b"\x01\xff" + bytes(range(1, 255))),
    (bytes(range(1, 256)), b"\xff" + bytes(range(1, 255)) + b"\x02\xff"),
    (bytes(range(2, 256)) + b"\0", b"\xff" + bytes(range(2, 256)) + b"\x01\x01"),
    (bytes(range(3, 256)) + b"\0\x01", b"\xfe" + bytes(range(3, 256)) + b"\x02\x01"),
]


@pytest.mark.parametrize(("plain", "coded"), VECTORS)
def test_vectors(plain: bytes, coded: bytes) -> None:
    assert cobs_encode(plain) == coded
    assert cobs_decode(coded) == plain


def test_round_trip() -> None:
    rng = random.Random(1)
    for n in [*range(20), *range(250, 260), *range(505, 515), 1000]:
        for zeros in (0.0, 0.01, 0.5):
            plain = bytes(0 if rng.random() < zeros else rng.randrange(1, 256) for _ in range(n))
            coded = cobs_encode(plain)
            assert 0 not in coded
            assert cobs_decode(coded) == plain


@pytest.mark.parametrize("coded", [b"\x00", b"\x03\x01", b"\x02\x00", b"\xff\x01"])
def test_not_cobs(coded: bytes) -> None:
    with pytest.raises(FrameError):
        cobs_decode(coded)


def test_every_single_byte_error_is_noticed() -> None:
    frame = Frame(7, 3, bytes(range(40)))
    data = encode(frame)[:-1]
    assert decode(data) == frame
    for at in range(len(data)):
        for flip in (1, 0x80, 0xFF):
            damaged = data[:at] + bytes([data[at] ^ flip]) + data[at + 1 :]
            with pytest.raises(FrameError):
                decode(damaged)
