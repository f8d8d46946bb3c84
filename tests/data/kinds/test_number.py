"""Numbers: what is read as one, and what is refused."""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasft.data.kinds.fields import Field, InvalidValue
from kerasft.data.kinds.number import NumberKind, parse_number


@pytest.mark.parametrize(
    ("value", "number"),
    [(3, 3.0), (2.5, 2.5), ("4.25", 4.25), (" -1e3 \u00a0", -1000.0), (Decimal("0.1"), 0.1), ("+7", 7.0)],
)
def test_numbers_are_read_from_numbers_and_from_text(value, number):
    assert parse_number(value) == number


@pytest.mark.parametrize(
    ("value", "reason", "detail"),
    [
        (None, "missing number", "found null"),
        ("  ", "missing number", ""),
        ("four", "not a number", "found 'four'"),
        ("3,5", "not a number", "found '3,5'"),
        ("1_000", "not a number", "found '1_000'"),
        (True, "not a number", "found a boolean"),
        ([1.0], "not a number", "found a list"),
        ("nan", "number is not finite", "nan"),
        (-math.inf, "number is not finite", "-inf"),
        ("1e999", "number is not finite", "inf"),
        ("-1e39", "number too large", "-1e+39; at most 3.4e+38 is kept"),
        (10**400, "number is not finite", "1" + "0" * 49),
    ],
)
def test_what_is_no_finite_number_is_refused_with_a_reason(value, reason, detail):
    with pytest.raises(InvalidValue) as error:
        parse_number(value)
    assert (error.value.reason, error.value.detail) == (reason, detail)


@settings(deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_a_number_written_out_is_read_back_to_the_bit(number):
    assert parse_number(repr(number)).hex() == parse_number(number).hex() == number.hex()
    stored = np.float32(number)
    assert (
        np.float32(NumberKind(Field("score", "number", "target")).decode(stored)).tobytes()
        == stored.tobytes()
    )
