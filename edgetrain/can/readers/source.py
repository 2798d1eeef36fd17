"""A recording on disk: decompressed on the fly, as bytes or as numbered lines."""

import gzip
import lzma
import zlib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, cast

from edgetrain.compiler.errors import InputError

_HEAD = 1 << 16
_CHUNK = 1 << 20
# No format has lines as long as this; the rest of a longer one is dropped, and it fails to parse.
_MAX_LINE = 1 << 14
_GZIP_MAGIC = b"\x1f\x8b"
_XZ_MAGIC = b"\xfd7zXZ\x00"
_BOM = b"\xef\xbb\xbf"


class Source:
    """One file; gzip and xz are told by their first bytes, not by the file's name."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        #: Set when compressed data turned out to be cut off or damaged.
        self.damaged = False

    @property
    def stem(self) -> str:
        """The file's name without compression and format suffixes."""
        name = self.path.name
        for suffix in (".gz", ".xz"):
            name = name.removesuffix(suffix)
        return name.rpartition(".")[0] or name

    @cached_property
    def head(self) -> bytes:
        """The first 64 KiB after decompression."""
        return next(self._chunks(), b"")[:_HEAD]

    def head_lines(self, count: int = 50) -> list[str]:
        """The first lines, stripped, without blank ones; for telling formats apart."""
        lines = self.head.removeprefix(_BOM).decode("utf-8", "replace").splitlines()
        return [line.strip() for line in lines if line.strip()][:count]

    def read_all(self, limit: int) -> bytes:
        """The whole content after decompression; InputError above `limit` bytes."""
        content = bytearray()
        for chunk in self._chunks():
            content += chunk
            if len(content) > limit:
                raise InputError(f"larger than {limit:,} bytes", where=str(self.path))
        return bytes(content)

    def lines(self) -> Iterator[tuple[int, str]]:
        """Line number (from 1) and text without its line break; undecodable bytes are replaced."""
        number = 0
        rest = b""
        for chunk in self._chunks():
            complete, newline, rest_of_chunk = chunk.rpartition(b"\n")
            if not newline:
                rest = (rest + chunk)[:_MAX_LINE]
                continue
            text = (rest + complete).decode("utf-8", "replace")
            rest = rest_of_chunk[:_MAX_LINE]
            if not number:
                text = text.removeprefix("\ufeff")
            for line in text.split("\n"):
                number += 1
                yield number, line.rstrip("\r")
        if rest:
            yield number + 1, rest.decode("utf-8", "replace").removeprefix("\ufeff").rstrip("\r")

    def _chunks(self) -> Iterator[bytes]:
        try:
            with self._open() as stream:
                while chunk := stream.read(_CHUNK):
                    yield chunk
        except (EOFError, lzma.LZMAError, zlib.error, gzip.BadGzipFile):
            self.damaged = True
        except OSError as error:
            raise InputError(
                f"cannot be read: {error.strerror or error}", where=str(self.path)
            ) from error

    def _open(self) -> BinaryIO:
        with self.path.open("rb") as raw:
            magic = raw.read(len(_XZ_MAGIC))
        if magic.startswith(_GZIP_MAGIC):
            return cast(BinaryIO, gzip.open(self.path, "rb"))
        if magic == _XZ_MAGIC:
            return cast(BinaryIO, lzma.open(self.path, "rb"))
        return self.path.open("rb")
