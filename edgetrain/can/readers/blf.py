"""Vector BLF: its objects are checked here, and decoded by python-can.

python-can alone loops for ever on an object of size 0 and drops what follows a short one.
"""

import io
import struct
import zlib
from collections.abc import Iterator
from typing import Final

from edgetrain.can import report as met
from edgetrain.can.readers.builder import FrameBuilder
from edgetrain.can.readers.python_can import add_message, library
from edgetrain.can.readers.source import Source
from edgetrain.compiler.errors import InputError

_MAX_BYTES: Final = 1 << 30
_MAX_CONTAINER: Final = 1 << 26
_FILE_HEADER: Final = struct.Struct("<4sL")
_FILE_HEADER_SIZE: Final = 72
# Signature, header size, header version, object size, object type.
_OBJECT: Final = struct.Struct("<4sHHLL")
_OBJECT_HEADER_SIZE: Final = {1: 32, 2: 40}
_SIGNATURE: Final = b"LOBJ"
_MAX_PADDING: Final = 3
_CONTAINER: Final = 10
_CONTAINER_HEADER: Final = struct.Struct("<H6xL4x")
_UNCOMPRESSED, _DEFLATE = 0, 2
_ERROR_TYPES: Final = (2, 73)
# Bytes after the object's header: CAN_MESSAGE, CAN_MESSAGE2, CAN_FD_MESSAGE, CAN_FD_MESSAGE_64.
_FRAME_SIZE: Final = {1: 16, 86: 16, 100: 84, 101: 40}


def sniff(source: Source) -> bool:
    """The file's signature."""
    return source.head.startswith(b"LOGG")


def read(source: Source, build: FrameBuilder) -> None:
    """Times since 1970 where the file has a start time; no labels.  Lines are object numbers."""
    content = source.read_all(_MAX_BYTES)
    if len(content) < _FILE_HEADER_SIZE:
        raise InputError("ends within the BLF header", where=str(source.path))
    signature, header_size = _FILE_HEADER.unpack_from(content)
    if signature != b"LOGG" or not _FILE_HEADER_SIZE <= header_size <= len(content):
        raise InputError("has a damaged BLF header", where=str(source.path))
    stream = _objects_of_containers(content, header_size, build)
    numbers, objects = [], []
    for number, item in enumerate(_objects(stream), 1):
        build.line = number
        if _is_frame(item, build):
            numbers.append(number)
            objects.append(item + bytes(-len(item) % 4))
    body = b"".join(objects)
    size = _OBJECT.size + _CONTAINER_HEADER.size + len(body)
    container = _OBJECT.pack(_SIGNATURE, _OBJECT.size, 1, size, _CONTAINER)
    container += _CONTAINER_HEADER.pack(_UNCOMPRESSED, len(body)) + body
    messages = library().BLFReader(io.BytesIO(content[:header_size] + container))
    for number, message in zip(numbers, messages, strict=True):
        build.line = number
        add_message(message, build)


def _objects_of_containers(content: bytes, start: int, build: FrameBuilder) -> bytes:
    """The decompressed containers, one after another: objects may straddle two of them."""
    stream = bytearray()
    while len(content) - start >= _OBJECT.size:
        signature, _, _, size, type_ = _OBJECT.unpack_from(content, start)
        if signature != _SIGNATURE or size < _OBJECT.size or start + size > len(content):
            build.note(met.DAMAGED)
            break
        if type_ == _CONTAINER:
            stream += _decompressed(content[start + _OBJECT.size : start + size], build)
            if len(stream) > _MAX_BYTES:
                raise InputError(f"larger than {_MAX_BYTES:,} bytes", where=build.report.path)
        start += size + size % 4
    return bytes(stream)


def _decompressed(container: bytes, build: FrameBuilder) -> bytes:
    if len(container) >= _CONTAINER_HEADER.size:
        method, _ = _CONTAINER_HEADER.unpack_from(container)
        body = container[_CONTAINER_HEADER.size :]
        if method == _UNCOMPRESSED:
            return body
        if method == _DEFLATE:
            stream = zlib.decompressobj()
            try:
                data = stream.decompress(body, _MAX_CONTAINER)
            except zlib.error:
                data = b""
            if not stream.eof:
                build.note(met.BAD_CONTAINER)
            return data
    build.note(met.BAD_CONTAINER)
    return b""


def _objects(stream: bytes) -> Iterator[bytes]:
    """Objects, header included; empty in place of anything that is none."""
    end = 0
    while len(stream) - end > _MAX_PADDING:
        start = stream.find(_SIGNATURE, end)
        if start < 0 or start - end > _MAX_PADDING:
            yield b""
        if start < 0:
            return
        end = start + len(_SIGNATURE)
        if len(stream) - start >= _OBJECT.size:
            size = _OBJECT.unpack_from(stream, start)[3]
            if _OBJECT.size <= size <= len(stream) - start:
                end = start + size
        yield stream[start:end]


def _is_frame(item: bytes, build: FrameBuilder) -> bool:
    """Whether python-can can decode it to a frame; counted otherwise."""
    if len(item) < _OBJECT.size:
        build.skip("damaged object")
        return False
    _, _, version, _, type_ = _OBJECT.unpack_from(item)
    if type_ in _ERROR_TYPES:
        build.leave_out(met.ERROR)
    elif type_ not in _FRAME_SIZE:
        build.leave_out(met.NO_FRAME)
    elif len(item) < _OBJECT_HEADER_SIZE.get(version, len(item) + 1) + _FRAME_SIZE[type_]:
        build.skip("object too short")
    else:
        return True
    return False
