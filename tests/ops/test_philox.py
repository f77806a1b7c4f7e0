"""The generator, against published answers and against Philox written down once more in Python's integers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refgraph.ops import philox

# "philox4x32 10" of tests/kat_vectors in Random123 1.14.0: counter, key, answer
KNOWN = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]
WORD, LONG = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
WIDE = st.one_of(LONG, st.sampled_from([0, 1, 2**32 - 1, 2**32, 2**63, 2**64 - 1]))


def read(text):
    return [int(word, 16) for word in text.split()]


def slow_philox(counter, key):
    """The rounds of section 4.2 of the paper, one word after the other."""
    x, k = list(counter), list(key)
    for _ in range(10):
        first, second = 0xD2511F53 * x[0], 0xCD9E8D57 * x[2]
        x = [
            (second >> 32) ^ x[1] ^ k[0],
            second % 2**32,
            (first >> 32) ^ x[3] ^ k[1],
            first % 2**32,
        ]
        k = [(k[0] + 0x9E3779B9) % 2**32, (k[1] + 0xBB67AE85) % 2**32]
    return x


def slow_word(key, call, i, sheet=0):
    """32-bit word i of a sheet, as the docstring of philox.py has it."""
    number = i // 4 + (sheet << 48)
    counter = (number % 2**32, number >> 32, call % 2**32, call >> 32)
    return slow_philox(counter, (key % 2**32, key >> 32))[i % 4]


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN, ids=["zeros", "ones", "pi"])
def test_published_answers(counter, key, answer):
    assert [int(w) for w in philox.philox4x32(read(counter), read(key))] == read(answer)
    assert slow_philox(read(counter), read(key)) == read(answer)


@given(counter=st.tuples(WORD, WORD, WORD, WORD), key=st.tuples(WORD, WORD))
def test_arrays_and_numbers_agree_with_the_slow_form(counter, key):
    expected = slow_philox(counter, key)

    assert [int(w) for w in philox.philox4x32(counter, key)] == expected
    many = philox.philox4x32([np.full(3, c, np.uint64) for c in counter], key)
    assert [w.tolist() for w in many] == [[w] * 3 for w in expected]


@pytest.mark.parametrize("count", [0, 1, 4, 5], ids="{} blocks".format)
@given(key=LONG, call=LONG, first=st.integers(0, 2**47), sheet=st.integers(0, 2**16 - 1))
def test_words_are_read_in_order(count, key, call, first, sheet):
    expected = [slow_word(key, call, 4 * first + i, sheet) for i in range(4 * count)]

    assert philox.words32(key, call, first, count, sheet).tolist() == expected
    long = philox.words64(key, call, first, count, sheet)
    assert long.tolist() == [expected[2 * i] + (expected[2 * i + 1] << 32) for i in range(2 * count)]


@pytest.mark.parametrize("size", [0, 1, 3, 4, 5, 4 * 32768, 4 * 32768 + 1, 300_001])
def test_chunks_do_not_show(size):
    together = philox.words32(5, 6, 0, -(-size // 4))[:size]

    np.testing.assert_array_equal(philox.fill32(np.empty(size, np.uint32), 5, 6, lambda w: w), together)
    long = philox.words64(5, 6, 0, -(-size // 2))[:size]
    np.testing.assert_array_equal(philox.fill64(np.empty(size, np.uint64), 5, 6, lambda w: w), long)


@given(v=WIDE, r=WIDE, more=WIDE)
def test_products_keep_every_bit(v, r, more):
    a, b, c = (np.array([x], np.uint64) for x in (v, r, more))
    small = min(r, 2**32)

    assert philox.high_product(a, b).tolist() == [v * r >> 64]
    assert philox.scaled(a, b, c).tolist() == [((v << 64) + more) * r >> 128]
    assert philox.narrow_product(a, np.uint64(small)).tolist() == [v * small >> 64]


@pytest.mark.parametrize("bits", [11, 24, 53])
def test_unit_leaves_out_one(bits):
    ends = philox.unit(np.array([0, 2**64 - 1], np.uint64), bits)

    assert ends.tolist() == [0, 1 - 2.0**-bits]


@pytest.mark.parametrize("bits", [10, 23, 52])
def test_inside_leaves_out_both_ends(bits):
    ends = philox.inside(np.array([0, 2**64 - 1], np.uint64), bits)

    assert ends.tolist() == [2.0 ** -(bits + 1), 1 - 2.0 ** -(bits + 1)]


def test_keys_differ_where_words_do():
    keys = {philox.mixed_key([1, seed, 0, serial]) for seed in range(200) for serial in range(200)}

    assert len(keys) == 200 * 200


def test_keys_are_mixed_by_splitmix64():
    """Its first numbers from seed 0, as other implementations print them, are those of the states 0 and golden."""
    assert philox.mixed_key([0]) == 0xE220A8397B1DCDAF
    assert philox.mixed_key([0x9E3779B97F4A7C15]) == 0x6E789E6AA1B965F4


def test_a_flipped_bit_of_a_word_flips_half_of_the_key():
    flips = [
        (philox.mixed_key([3, word]) ^ philox.mixed_key([3, word ^ 1 << bit])).bit_count()
        for word in range(20)
        for bit in range(64)
    ]

    assert 31.5 < np.mean(flips) < 32.5
    assert min(flips) > 10
