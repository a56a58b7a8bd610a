"""Objects through the pipe between two processes of this package, arrays without a copy."""

from __future__ import annotations

import os
import pickle
import struct
import sys
from collections.abc import Sequence
from io import RawIOBase
from typing import Any, BinaryIO, cast

COUNT = struct.Struct("<Q")
"""How the number of parts of an object, and the length of each, are written."""


def take_streams() -> tuple[BinaryIO, int]:
    """Take stdout and stdin of this process for messages to and from its parent.

    What libraries print, compiled ones too, comes out on stderr from now on, and what they read is empty.

    Returns
    -------
    output : file
        The former stdout, unbuffered.
    input : int
        File descriptor of the former stdin.
    """
    sys.stdout.flush()
    output = cast(BinaryIO, os.fdopen(os.dup(1), "wb", buffering=0))
    os.dup2(2, 1)
    source = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return output, source


def pack(thing: Any) -> list[memoryview]:
    """Pickle an object; the memory of its arrays is referred to, not copied.

    Returns
    -------
    list of memoryview
        The pickle, then the arrays, as :func:`write` takes them.
    """
    arrays: list[pickle.PickleBuffer] = []
    body = pickle.dumps(thing, protocol=5, buffer_callback=arrays.append)
    return [memoryview(body), *(array.raw() for array in arrays)]


def write(stream: RawIOBase, parts: Sequence[memoryview]) -> None:
    """Write a packed object to an unbuffered stream.

    Raises
    ------
    OSError
        When nobody reads any more.
    """
    numbers = (len(parts), *(len(part) for part in parts))
    for part in (memoryview(b"".join(map(COUNT.pack, numbers))), *parts):
        rest = part
        while rest:
            rest = rest[stream.write(rest) :]


def read(stream: RawIOBase) -> Any:
    """Read one object from an unbuffered stream.

    Raises
    ------
    EOFError
        When the stream ends before the object does.
    """
    count = _number(stream)
    lengths = [_number(stream) for _ in range(count)]
    body, *arrays = [_exactly(stream, length) for length in lengths]
    return pickle.loads(body, buffers=arrays)


def _number(stream: RawIOBase) -> int:
    number: int = COUNT.unpack(_exactly(stream, COUNT.size))[0]
    return number


def _exactly(stream: RawIOBase, length: int) -> bytearray:
    data = bytearray(length)
    rest = memoryview(data)
    while rest:
        got = stream.readinto(rest)
        if not got:
            raise EOFError("the other process is gone")
        rest = rest[got:]
    return data
