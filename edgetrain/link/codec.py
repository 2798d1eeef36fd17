"""The link's frames: COBS(length u16, sequence u8, command u8, payload, CRC-32 u32) 0x00.

All numbers are little-endian.  docs/link.md describes the protocol.
"""

import struct
import zlib
from dataclasses import dataclass

DELIMITER = b"\0"
_HEADER = struct.Struct("<HBB")
_CRC = struct.Struct("<I")


@dataclass(frozen=True)
class Frame:
    """One request or answer."""

    sequence: int
    command: int
    payload: bytes = b""


class FrameError(Exception):
    """A frame that did not arrive whole."""


def cobs_encode(data: bytes) -> bytes:
    """`data` without zero bytes: blocks of a length plus one and the bytes up to the next zero.

    255 stands for 254 bytes with no zero after them.
    """
    out = bytearray()
    at = 0
    while True:
        end = data.find(0, at, at + 254)
        if end < 0:
            end = min(at + 254, len(data))
        out.append(end - at + 1)
        out += data[at:end]
        if end == len(data):
            return bytes(out)
        at = end if end - at == 254 else end + 1


def cobs_decode(data: bytes) -> bytes:
    """The inverse; FrameError if `data` is not COBS."""
    out = bytearray()
    at = 0
    while at < len(data):
        code = data[at]
        block = data[at + 1 : at + code]
        if code == 0 or len(block) != code - 1 or 0 in block:
            raise FrameError("not COBS")
        out += block
        at += code
        if code < 255 and at < len(data):
            out.append(0)
    return bytes(out)


def encode(frame: Frame) -> bytes:
    """The frame's bytes, delimiter included."""
    body = _HEADER.pack(len(frame.payload), frame.sequence, frame.command) + frame.payload
    return cobs_encode(body + _CRC.pack(zlib.crc32(body))) + DELIMITER


def decode(data: bytes) -> Frame:
    """The frame of these bytes, delimiter not included; FrameError if it is damaged."""
    raw = cobs_decode(data)
    if len(raw) < _HEADER.size + _CRC.size:
        raise FrameError("too short")
    body, crc = raw[: -_CRC.size], raw[-_CRC.size :]
    length, sequence, command = _HEADER.unpack_from(body)
    payload = body[_HEADER.size :]
    if length != len(payload) or _CRC.pack(zlib.crc32(body)) != crc:
        raise FrameError("damaged")
    return Frame(sequence, command, payload)
