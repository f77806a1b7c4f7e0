"""Philox4x32-10: random bits as a pure function of a key and a counter.

J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC11, 2011: ten
rounds turn a counter of four 32-bit words, under a key of two, into a block of four 32-bit words.

A draw is a key and a call number, both of 64 bits, low word first. Its numbers are these words:

- **Block b of sheet s** is Philox of the counter (B low, B high, call low, call high), where B = b + 2**48 s, b < 2**48
  and s < 2**16. Most draws need only sheet 0. A further sheet is a further supply for the same elements: of the bits
  that a wide range of integers needs, or of the next attempt where numbers are rejected.
- **32-bit word i** of a sheet is word i % 4 of its block i // 4.
- **64-bit word i** of a sheet has the 32-bit words 2i as its low and 2i + 1 as its high half.

So every element is computed by itself, in any order, on any number of threads, and always comes out the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)  # multipliers, and
_W0, _W1 = 0x9E3779B9, 0xBB67AE85  # what a round adds to the key: the golden ratio and sqrt(3) - 1
_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)
_FEW = 4  # up to so many blocks are made of Python's integers, not of arrays
_CHUNK = 32768  # blocks made at a time, so that temporaries stay in a cache (benchmarks/random_numbers.py)

Words = Any
"""An array of uint64, or one uint64."""


def philox4x32(counter: Iterable[Any], key: Iterable[int]) -> tuple[Words, Words, Words, Words]:
    """The block of four 32-bit words for a counter of four and a key of two, in 64-bit integers.

    Each word of the counter is an array of uint64, all of one shape, or one number.
    """
    c0, c1, c2, c3 = [np.asarray(c, np.uint64)[()] for c in counter]
    k0, k1 = key
    for _ in range(10):
        p0, p1 = c0 * _M0, c2 * _M1
        c0, c2 = _mixed(p1, c1, k0), _mixed(p0, c3, k1)
        c1, c3 = p1, p0  # their low halves; the high ones are masked away where they are read
        k0, k1 = (k0 + _W0) & 0xFFFFFFFF, (k1 + _W1) & 0xFFFFFFFF
    return c0, c1 & _LOW, c2, c3 & _LOW


def _mixed(product: Words, word: Words, key: int) -> Words:
    """The high half of a product, xor a word, xor the key."""
    high = product >> _HALF
    high ^= word
    high ^= np.uint64(key)
    high &= _LOW
    return high


def blocks(key: int, call: int, numbers: Words, sheet: int = 0) -> tuple[Words, Words, Words, Words]:
    """The blocks of these numbers, a vector, on a sheet: as four vectors of 32-bit words in 64-bit integers."""
    if len(numbers) <= _FEW:
        found = [_block(key, call, number + (sheet << 48)) for number in numbers.tolist()]
        return tuple(np.array(found, np.uint64).reshape(-1, 4).T)  # type: ignore[return-value]  # four of them
    numbers = numbers + np.uint64(sheet << 48)
    counter = (numbers & _LOW, numbers >> _HALF, call & 0xFFFFFFFF, call >> 32)
    return philox4x32(counter, (key & 0xFFFFFFFF, key >> 32))


def _block(key: int, call: int, number: int) -> tuple[int, int, int, int]:
    """One block, in Python's integers: what `philox4x32` does for arrays."""
    c0, c1, c2, c3 = number & 0xFFFFFFFF, number >> 32, call & 0xFFFFFFFF, call >> 32
    k0, k1 = key & 0xFFFFFFFF, key >> 32
    for _ in range(10):
        p0, p1 = c0 * 0xD2511F53, c2 * 0xCD9E8D57
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & 0xFFFFFFFF, (p0 >> 32) ^ c3 ^ k1, p0 & 0xFFFFFFFF
        k0, k1 = (k0 + _W0) & 0xFFFFFFFF, (k1 + _W1) & 0xFFFFFFFF
    return c0, c1, c2, c3


def pairs(key: int, call: int, numbers: Words, sheet: int = 0) -> tuple[Words, Words]:
    """The two 64-bit words of each of these blocks."""
    c0, c1, c2, c3 = blocks(key, call, numbers, sheet)
    return c0 | c1 << _HALF, c2 | c3 << _HALF


def words32(key: int, call: int, first: int, count: int, sheet: int = 0) -> Words:
    """The 32-bit words of `count` blocks from block `first` on, in order."""
    out = np.empty((count, 4), np.uint32)
    for j, word in enumerate(blocks(key, call, _numbers(first, count), sheet)):
        out[:, j] = word
    return out.reshape(-1)


def words64(key: int, call: int, first: int, count: int, sheet: int = 0) -> Words:
    """The 64-bit words of `count` blocks from block `first` on, in order."""
    out = np.empty((count, 2), np.uint64)
    out[:, 0], out[:, 1] = pairs(key, call, _numbers(first, count), sheet)
    return out.reshape(-1)


def fill32(out: Any, key: int, call: int, convert: Callable[[Words], Any], sheet: int = 0) -> Any:
    """`out`, an array of one axis, filled with what `convert` makes of whole blocks of 32-bit words, one a word."""
    return _fill(out, key, call, convert, sheet, words32, 4)


def fill64(out: Any, key: int, call: int, convert: Callable[[Words], Any], sheet: int = 0) -> Any:
    """`out`, an array of one axis, filled with what `convert` makes of whole blocks of 64-bit words, one a word."""
    return _fill(out, key, call, convert, sheet, words64, 2)


def _fill(
    out: Any, key: int, call: int, convert: Callable[[Words], Any], sheet: int, words: Callable[..., Words], each: int
) -> Any:
    """Chunk by chunk, where a block gives `each` words."""
    for start in range(0, len(out), _CHUNK * each):
        part = out[start : start + _CHUNK * each]
        found = convert(words(key, call, start // each, -(-len(part) // each), sheet))
        part[...] = found[: len(part)]
    return out


def _numbers(first: int, count: int) -> Words:
    return np.arange(first, first + count, dtype=np.uint64)


# Numbers of given ranges


def unit(words: Words, bits: int) -> Any:
    """Doubles k / 2**bits of [0, 1), where k is the top `bits` bits of 64-bit words; exact for bits <= 53."""
    return (words >> np.uint64(64 - bits)) * 2.0**-bits


def inside(words: Words, bits: int) -> Any:
    """Doubles (k + 1/2) / 2**bits of (0, 1), where k is the top `bits` bits of 64-bit words; exact for bits <= 52."""
    return ((words >> np.uint64(64 - bits)) + 0.5) * 2.0**-bits


def high_product(v: Words, r: Words) -> Words:
    """The high 64 bits of v * r, for 64-bit words."""
    return _product(v, r)[0]


def narrow_product(v: Words, r: Words) -> Words:
    """As `high_product`, for r <= 2**32."""
    return ((v >> _HALF) * r + ((v & _LOW) * r >> _HALF)) >> _HALF


def _product(v: Words, r: Words) -> tuple[Words, Words]:
    """v * r of 64-bit words: its high and its low 64 bits."""
    v0, v1, r0, r1 = v & _LOW, v >> _HALF, r & _LOW, r >> _HALF
    middle = v1 * r0 + (v0 * r0 >> _HALF)  # no sum here exceeds 2**64 - 1
    cross = v0 * r1 + (middle & _LOW)
    return v1 * r1 + (middle >> _HALF) + (cross >> _HALF), v * r


def scaled(v: Words, r: Words, more: Words) -> Words:
    """floor((2**64 v + more) * r / 2**128): a number below r from 128 random bits."""
    high, low = _product(v, r)
    carry = low > ~high_product(more, r)
    return high + carry


# Keys

_GOLDEN, _64 = 0x9E3779B97F4A7C15, 0xFFFFFFFFFFFFFFFF


def mixed_key(words: Iterable[int]) -> int:
    """A 64-bit key made from 64-bit words, of which each is absorbed by the finaliser of splitmix64.

    h <- mix((h xor word) + golden), from h = 0; for given other words it is one to one in each word, so words that
    differ in one place never give one key. (G. L. Steele, D. Lea, C. H. Flood, "Fast splittable pseudorandom number
    generators", OOPSLA 2014, with the constants of their section 5.)
    """
    h = 0
    for word in words:
        h = ((h ^ word) + _GOLDEN) & _64
        h = ((h ^ h >> 30) * 0xBF58476D1CE4E5B9) & _64
        h = ((h ^ h >> 27) * 0x94D049BB133111EB) & _64
        h ^= h >> 31
    return h
