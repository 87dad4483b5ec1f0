from fractions import Fraction

import numpy as np
import pytest
import sdc_codec as codec
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sdc_codec.palette import entries

CENTERS = hnp.arrays(np.float64, st.tuples(st.integers(1, 20), st.just(4)), elements=st.floats(-65504, 65504))


@given(CENTERS)
@settings(max_examples=100, deadline=None)
def test_rounding_keeps_every_center_within_half_a_step_of_an_entry(centers):
    rounded = entries.from_centers(centers)
    assert (rounded.low <= centers.min(axis=0)).all() and (rounded.high >= centers.max(axis=0)).all()
    assert np.isfinite(rounded.high).all() and np.isfinite(rounded.low).all()
    step = (rounded.high.astype(float) - rounded.low.astype(float)) / 255
    distance = np.abs(centers[:, None] - rounded.values()[None].astype(float))
    # Beside half a step there is the rounding of values to binary32.
    tolerance = step / 2 + 2.0**-24 * np.maximum(np.abs(rounded.low), np.abs(rounded.high)).astype(float)
    assert (distance <= tolerance).all(axis=2).any(axis=1).all()


@given(CENTERS)
@settings(max_examples=50, deadline=None)
def test_order_and_duplicates_of_the_centers_do_not_matter(centers):
    again = np.concatenate([centers[::-1], centers[:1]])
    assert entries.from_centers(centers).to_bytes() == entries.from_centers(again).to_bytes()


def test_entries_are_sorted_by_channels_from_the_first():
    rounded = entries.from_centers(np.array([[1.0, 0, 0, 1], [0, 1, 1, 1], [0, 1, 0, 1]]))
    assert rounded.components.tolist() == [[0, 255, 0, 0], [0, 255, 255, 0], [255, 0, 0, 0]]


@given(st.integers(0, 0x7BFF), st.integers(0, 0x7BFF), st.booleans(), st.integers(0, 255))
@settings(max_examples=200, deadline=None)
def test_values_are_the_correctly_rounded_steps_of_the_specification(low_bits, high_bits, negative, component):
    low, high = sorted(np.array([low_bits | negative << 15, high_bits], np.uint16).view(np.float16))
    values = entries.Palette(np.array([low]), np.array([high]), np.array([[component]], np.uint8)).values()
    # Fraction to float rounds correctly, as IEEE division and addition do.
    share = float(component * (Fraction(float(high)) - Fraction(float(low))) / 255)
    assert values[0, 0] == np.float32(float(Fraction(float(low)) + Fraction(share)))


def test_payload_is_ranges_then_entries_and_parses_back():
    original = entries.from_centers(np.array([[0.0, -1, 2, 0.5], [1, 1, 2, 0.25]]))
    payload = original.to_bytes()
    expected = np.array([0, 1, -1, 1, 2, 2, 0.25, 0.5], "<f2").tobytes() + bytes([0, 0, 0, 255, 255, 255, 0, 0])
    assert payload == expected
    parsed = entries.from_bytes(payload, 4)
    np.testing.assert_array_equal(parsed.values(), original.values())


def pack_ranges(*ends):
    return np.array(ends, "<f2").tobytes()


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"", "0 bytes"),
        (bytes(15), "15 bytes"),
        (bytes(16), "16 bytes"),
        (bytes(21), "21 bytes"),
        (bytes(16 + 4 * 4097), "1 to 4096 entries"),
        (pack_ranges(0, np.inf, 0, 0, 0, 0, 0, 0) + bytes(4), "channel 0 goes from 0.0 to inf"),
        (pack_ranges(0, 0, np.nan, 0, 0, 0, 0, 0) + bytes(4), "channel 1 goes from nan to 0.0"),
        (pack_ranges(0, 0, 0, 0, 0, 0, 1, 0.5) + bytes(4), "channel 3 goes from 1.0 down to 0.5"),
    ],
)
def test_bad_palettes_are_corrupt(payload, message):
    with pytest.raises(codec.SdcFormatError, match=message):
        entries.from_bytes(payload, 4)


def test_the_largest_palette_is_accepted():
    assert len(entries.from_bytes(bytes(16 + 4 * 4096), 4).components) == 4096
