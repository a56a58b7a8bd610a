"""Reading zips of unknown origin: what an entry unpacks to is known before it is read."""

from __future__ import annotations

import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from napari_nanoseg.errors import NanosegError
from napari_nanoseg.reading import need_file

MOST_DIRECTORY = 16 << 20
"""Bytes of the list of entries; 100,000 entries have about 7 MB."""
PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""How entries may be packed; Python unpacks the other ways without a limit."""
DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, RuntimeError, ValueError, OSError)
"""What zipfile raises for damaged, cut-off, locked and unknown content."""


@contextmanager
def opened_zip(
    source: Path | bytes, where: Path, advice: str = "download or copy it again", kind: str = "the zip"
) -> Iterator[zipfile.ZipFile]:
    """Open a zip and turn what is wrong with it into one sentence.

    Parameters
    ----------
    source : Path or bytes
        The file, or its content.
    where : Path
        The file, for sentences.
    advice : str
        What to do when it is damaged.
    kind : str
        What people call such a file.

    Raises
    ------
    NanosegError
        When it is not a regular file, damaged, locked, or has too many entries.
    """
    try:
        if isinstance(source, Path):
            need_file(source)
        with source.open("rb") if isinstance(source, Path) else io.BytesIO(source) as file:
            if _directory_size(file) > MOST_DIRECTORY:
                raise NanosegError(f"{where}: the zip has too many entries; {advice}.")
            file.seek(0)
            with zipfile.ZipFile(file) as archive:
                yield archive
    except DAMAGED as error:
        raise NanosegError(f"{where}: {kind} is damaged or locked by a password; {advice}.") from error


def read_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, most: int, where: Path) -> bytes:
    """Read an entry; its size is checked before.

    Raises
    ------
    NanosegError
        When it has more than `most` bytes or is packed in another way than deflated.
    zipfile.BadZipFile
        When it is damaged.
    """
    if entry.file_size > most:
        raise NanosegError(f"{where}: {entry.filename} has more than {most >> 20} MB unpacked; choose another file.")
    if entry.compress_type not in PACKED:
        raise NanosegError(f"{where}: {entry.filename} is packed in an unusual way; pack the zip anew with 'deflate'.")
    with archive.open(entry) as file:  # its read() unpacks no more than it is asked for, that of ZipFile does
        content = file.read(entry.file_size)
    if len(content) != entry.file_size:
        raise zipfile.BadZipFile("an entry is cut off")
    return content


def check_torch_file(source: Path | bytes, where: Path, most: int, advice: str = "copy or download it again") -> None:
    """Check a file of torch before it is read: not packed, not larger than `most`, the checksums right.

    Raises
    ------
    NanosegError
        When it is damaged, too large, or declares more than it has. Files that are no zips, of old versions, are only
        checked for their size.
    """
    size = need_file(source) if isinstance(source, Path) else len(source)
    if size > most:
        raise NanosegError(f"{where} has {size >> 20} MB, more than the {most >> 20} MB that it may have; {advice}.")
    with source.open("rb") if isinstance(source, Path) else io.BytesIO(source) as file:
        if file.read(2) != b"PK":
            return
    with opened_zip(source, where, advice, "the file") as archive:
        entries = archive.infolist()
        packed = any(entry.compress_type or entry.compress_size != entry.file_size for entry in entries)
        if packed or sum(entry.file_size for entry in entries) > size:
            raise NanosegError(f"{where} unpacks to more than it has, as no file of torch does; {advice}.")
        if archive.testzip() is not None:
            raise zipfile.BadZipFile("a checksum is wrong")


def _directory_size(file: BinaryIO) -> int:
    """Bytes of the list of entries, by the record at the end of a zip."""
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - (1 << 16) - 100))
    tail = file.read()
    end = tail.rfind(b"PK\5\6")
    if end < 0:
        raise zipfile.BadZipFile("there is no end")
    listed: int = struct.unpack_from("<L", tail, end + 12)[0]
    if tail[max(0, end - 20) : end].startswith(b"PK\6\7"):
        file.seek(min(size, struct.unpack_from("<Q", tail, end - 12)[0]))
        record = file.read(56)
        if record.startswith(b"PK\6\6"):
            listed = max(struct.unpack_from("<Q", record, 40)[0], 0 if listed == 0xFFFFFFFF else listed)
    return listed
