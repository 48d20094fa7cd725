import pytest
import torch
from task_helpers import music, snr_db, white

from a2sb_core.interfaces import TaskError
from a2sb_tasks.baselines.band_replication import BandReplication

RATE = 44100


def limited(cutoff_hz, length=30_000, channels=1):
    """Audio that holds nothing above the cutoff."""
    spectrum = torch.fft.rfft(white(length, channels).double())
    spectrum[:, int(cutoff_hz * length / RATE) :] = 0
    return torch.fft.irfft(spectrum, length).float()


def bands(wave):
    """Mean magnitude of each row of the transform, (C, 1025)."""
    window = torch.hann_window(2048)
    return torch.stft(wave, 2048, 512, window=window, return_complex=True).abs().mean(dim=-1)


def extend(wave, cutoff_hz, **fields):
    baseline = BandReplication.Config(**fields).build()
    return baseline.restore_audio(wave, RATE, "bandwidth", {"cutoff_hz": cutoff_hz})


@pytest.mark.parametrize("cutoff_hz", [3000, 4000, 8000, 12000])
def test_energy_comes_back_above_the_cutoff(cutoff_hz):
    wave = limited(cutoff_hz)
    before, after = bands(wave)[0], bands(extend(wave, cutoff_hz, slope_db=6.0))[0]
    first = int(cutoff_hz * 2048 / RATE) + 4
    levels = [rows[first : first + 320].unflatten(0, (10, 32)).mean(1) for rows in (before, after)]
    assert (levels[1] > 10 * levels[0]).all()


@pytest.mark.parametrize("cutoff_hz", [3000, 4000, 8000, 12000])
def test_what_is_below_the_cutoff_stays(cutoff_hz):
    wave = music(30_000)
    change = torch.fft.rfft((extend(wave, cutoff_hz) - wave).double())
    # Next to the cutoff the new content is seen through the window.
    below = change[:, : int((cutoff_hz - 100) * 30_000 / RATE)]
    assert below.abs().square().sum() < 1e-6 * torch.fft.rfft(wave.double()).abs().square().sum()
    assert change.abs().square().sum() > 20 * below.abs().square().sum()


def test_a_row_just_below_the_cutoff_is_known():
    """The first row that is replaced is the first at or above the cutoff."""
    row = 200
    tone = torch.sin(2 * torch.pi * row / 2048 * torch.arange(30_000))[None]
    between = (row + 0.5) * RATE / 2048
    assert bands(extend(tone, between))[0, row] > 0.5 * bands(tone)[0, row]


@pytest.mark.parametrize("slope_db", [0.0, 12.0])
def test_the_level_falls_by_the_slope(slope_db):
    wave = limited(2000, 60_000)
    after = bands(extend(wave, 2000, slope_db=slope_db))[0]
    edge = round(2000 * 2048 / RATE)
    octaves = [after[int(1.2 * edge * 2**k) : int(1.8 * edge * 2**k)].mean() for k in range(3)]
    falls = [20 * float(torch.log10(octaves[k] / octaves[k + 1])) for k in (0, 1)]
    assert falls == pytest.approx([slope_db] * 2, abs=2)


def test_a_cutoff_beyond_the_spectrum_changes_nothing():
    wave = music(30_000)
    assert snr_db(wave, extend(wave, 23_000)) > 100


@pytest.mark.parametrize(
    ("task", "parameters"), [("inpaint", {"gaps_s": [(0.1, 0.2)]}), ("bandwidth", {})]
)
def test_another_task_is_refused(task, parameters):
    with pytest.raises(TaskError, match=r"`bandwidth`.* cutoff_hz"):
        BandReplication.Config().build().restore_audio(white(9000), RATE, task, parameters)
