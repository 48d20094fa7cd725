import math

import torch

from a2sb_backbones.embeddings import AxialRotary, band_embedding, time_embedding

CPU = torch.device("cpu")


def test_time_embedding_is_that_of_the_published_network(golden):
    torch.testing.assert_close(time_embedding(golden["t"], 128), golden["t_emb"])


def test_time_embedding_is_float32_for_times_of_lower_precision():
    assert time_embedding(torch.tensor([0.5], dtype=torch.bfloat16), 8).dtype == torch.float32


def test_band_embedding_follows_the_formula():
    table = band_embedding(10, 4, CPU)
    angle = 2 * 7 * 2 * 3.14 / 30  # k = 2, row 7
    assert table.shape == (4, 10)
    assert math.isclose(table[1, 7], math.cos(angle), rel_tol=1e-6)
    assert math.isclose(table[3, 7], math.sin(angle), rel_tol=1e-6)


def test_band_embedding_is_made_once_and_usable_by_autograd_after_inference_mode():
    with torch.inference_mode():
        first = band_embedding(23, 6, CPU)
    assert band_embedding(23, 6, CPU) is first
    weight = torch.ones(6, 1, requires_grad=True)
    (first * weight).sum().backward()
    assert weight.grad is not None


def test_rotary_frequencies_start_as_published(golden):
    torch.testing.assert_close(AxialRotary(16).freqs.detach(), golden["rope_freqs"])


def test_rotary_keeps_lengths_and_leaves_the_last_channels():
    rotary, x = AxialRotary(2), torch.randn(3, 5, 4, 10)
    turned = rotary(x, rotary.tables(5, 4))
    pairs = (turned[..., :8].unflatten(-1, (4, 2)), x[..., :8].unflatten(-1, (4, 2)))
    torch.testing.assert_close(pairs[0].norm(dim=-1), pairs[1].norm(dim=-1))
    assert torch.equal(turned[..., 8:], x[..., 8:])


def test_rotary_products_depend_on_distance_only():
    rotary = AxialRotary(2)
    q, k = torch.randn(8).expand(6, 5, 8), torch.randn(8).expand(6, 5, 8)
    tables = rotary.tables(6, 5)
    q, k = rotary(q, tables), rotary(k, tables)
    here, there = (q[1, 0] * k[2, 3]).sum(), (q[3, 1] * k[4, 4]).sum()
    torch.testing.assert_close(here, there, rtol=1e-4, atol=1e-4)


def test_rotary_turns_rows_by_the_first_channels_and_frames_by_the_next():
    rotary = AxialRotary(1)
    with torch.no_grad():
        rotary.freqs.fill_(math.pi / 2)
    turned = rotary(torch.tensor([1.0, 0.0, 1.0, 0.0]).expand(3, 3, 4), rotary.tables(3, 3))
    expected = torch.tensor([0.0, 1.0, 1.0, 0.0])  # last row: a quarter turn; middle frame: none
    torch.testing.assert_close(turned[2, 1], expected, atol=1e-6, rtol=0)


def test_rotary_tables_are_made_once_outside_of_training():
    rotary = AxialRotary(4)
    with torch.no_grad():
        first = rotary.tables(3, 5)
        assert rotary.tables(3, 5)[0] is first[0]
        assert rotary.tables(5, 3)[0].shape == (5, 3, 16)
        rotary.load_state_dict({"freqs": 2 * rotary.freqs})
        assert not torch.equal(rotary.tables(3, 5)[0], first[0])
    assert rotary.tables(3, 5)[0].requires_grad
