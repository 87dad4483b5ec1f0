"""The fingerprint of a VAE: the same in every type of number, another for another VAE."""

import numpy as np
import pytest
import sdc_codec as codec


def weights(seed=0, layers=12):
    rng = np.random.default_rng(seed)
    shapes = [(32, 16, 3, 3), (16, 64), (4, 4, 1, 1)]
    found = {f"decoder.{n}.weight": rng.normal(0, 0.02, shapes[n % 3]).astype(np.float32) for n in range(layers)}
    return found | {f"decoder.{n}.bias": rng.normal(size=32).astype(np.float32) for n in range(layers)}


def to_bfloat16(values):
    bits = np.asarray(values, np.float32).view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32)


def changed(tensors, change):
    return {name: change(value) for name, value in tensors.items()}


def test_a_fingerprint_is_the_same_for_ever():
    steady = {f"decoder.{n}": np.sin(np.arange(600.0) * (n + 1) + n).reshape(20, 30) for n in range(9)}
    assert codec.fingerprint(steady).hex() == "d55421d1d82732d7"


@pytest.mark.parametrize("seed", range(20))
def test_types_of_number_do_not_matter_and_weights_do(seed):
    made = codec.fingerprint(weights(seed))
    for cast in (np.float64, np.float16, to_bfloat16, lambda values: to_bfloat16(values.astype(np.float16))):
        assert codec.same_vae(made, codec.fingerprint(changed(weights(seed), cast)))
    rng = np.random.default_rng(seed + 500)
    tuned = changed(weights(seed), lambda values: values + values.std() * rng.normal(size=values.shape) / 20)
    assert not codec.same_vae(made, codec.fingerprint(tuned))
    assert not codec.same_vae(made, codec.fingerprint(weights(seed + 1000)))


def test_the_decoder_alone_counts_where_there_is_one():
    made = codec.fingerprint(weights())
    assert codec.fingerprint(weights() | {"encoder.0.weight": np.ones((9, 9))}) == made
    assert codec.fingerprint({"a": np.zeros((3, 3)), "b": np.ones((70000, 2)), "c": np.ones(5)})  # nothing to divide by


def test_values_next_to_each_other_around_the_circle_are_the_same():
    first = bytes([0, 255, 7, 8, 0, 0, 0, 0])
    assert codec.same_vae(first, bytes([255, 0, 8, 7, 1, 0, 0, 0]))
    assert not codec.same_vae(first, bytes([254, 255, 7, 8, 0, 0, 0, 0]))


def test_a_file_keeps_it(smooth_latent):
    plain = codec.encode([smooth_latent()], "custom", metadata={"prompt": "a"})[0]
    marked = codec.with_vae(plain, b"12345678")
    assert (plain.vae, marked.vae, marked.num_bytes) == (None, b"12345678", plain.num_bytes + 12)
    assert codec.load(marked.data).vae == codec.with_metadata(marked, None).vae == b"12345678"
    assert codec.relabeled(marked, "SDXL").vae == b"12345678"
    assert codec.with_vae(marked, None) == plain
    np.testing.assert_array_equal(codec.decode(marked), codec.decode(plain))
    with pytest.raises(codec.SdcArgumentError, match="7 bytes"):
        codec.with_vae(plain, b"1234567")


def test_another_length_is_a_section_of_another_version(build_file, small_sections):
    assert codec.load(build_file([*small_sections, (b"v", bytes(8))])).vae == bytes(8)
    for length in (0, 7, 9):
        assert codec.load(build_file([*small_sections, (b"v", bytes(length))])).vae is None
