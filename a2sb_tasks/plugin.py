"""Names of the built-in parts; importing this imports none of them."""

from __future__ import annotations

from a2sb_core.plugins import Registrar, hookimpl

_PARTS = (
    ("representation", "factorized", "representations.factorized:Factorized",
     "compressed magnitude, cosine and sine of the phase (the paper's)"),
    ("representation", "complex_stft", "representations.complex_stft:ComplexSTFT",
     "real and imaginary part (the paper's ablation)"),
    ("representation", "mdct", "representations.mdct:MDCT",
     "modified discrete cosine transform: real, without redundancy"),
    ("representation", "cqt", "representations.cqt:CQT", "invertible constant-Q transform"),
    ("corruption", "bandwidth", "corruptions.bandwidth:Bandwidth",
     "everything above a cutoff is missing"),
    ("corruption", "inpainting", "corruptions.inpainting:Inpainting", "gaps in time are missing"),
    ("corruption", "mixture", "corruptions.mixture:Mixture", "weighted choice of corruptions"),
    ("corruption", "declip", "corruptions.declip:Declip", "peaks are cut off"),
    ("corruption", "denoise", "corruptions.denoise:Denoise", "white or pink noise is added"),
    ("corruption", "dereverb", "corruptions.dereverb:Dereverb", "a room reverberates"),
    ("corruption", "codec", "corruptions.codec:Codec", "MP3, Ogg Vorbis or Opus encoded it"),
    ("corruption", "continuation", "corruptions.continuation:Continuation",
     "the start or the end is missing"),
    ("corruption", "composite", "corruptions.composite:Composite",
     "several kinds of damage in sequence"),
    ("corruption", "everything", "corruptions.everything:Everything",
     "all is missing: for unconditional models"),
    ("bridge", "diffusion", "bridges.diffusion:Diffusion", "from noise, with the cosine schedule"),
    ("bridge", "i2sb", "bridges.i2sb:I2SB", "Schrodinger bridge with the symmetric schedule"),
    ("prediction", "paper", "predictions.paper:Paper", "(x_t - x0)/sigma_t, equation (10)"),
    ("prediction", "guided", "predictions.guided:Guided", "pulled towards what is known"),
    ("prediction", "preconditioned", "predictions.preconditioned:Preconditioned",
     "scaled input, skip and output for small networks"),
    ("sampler", "ancestral", "samplers.ancestral:Ancestral", "draws from the posterior (19)"),
    ("sampler", "ode", "samplers.ancestral:ODE", "takes the mean of the posterior (19)"),
    ("sampler", "implicit", "samplers.implicit:Implicit",
     "deterministic: carries the implied noise"),
    ("sampler", "multidiffusion", "samplers.multidiffusion:MultiDiffusion",
     "overlapping windows of a long file, averaged (20)"),
    ("metric", "lsd", "metrics.spectral:LSD", "log-spectral distance (21)"),
    ("metric", "sispec", "metrics.spectral:SiSpec", "scale-invariant spectrogram ratio (22)"),
    ("metric", "note_f1", "metrics.notes:NoteF1", "notes transcribed alike, F1"),
    ("metric", "visqol", "metrics.visqol:Visqol", "predicted opinion score, audio mode"),
    ("metric", "si_sdr", "metrics.waveform:SISDR", "scale-invariant signal-to-distortion ratio"),
    ("metric", "phase_residual", "metrics.phase:PhaseResidual",
     "distance of a model's phases from the unit circle (18)"),
    ("restorer", "silence", "baselines.silence:Silence", "leaves the damaged audio as it is"),
    ("restorer", "band_replication", "baselines.band_replication:BandReplication",
     "copies the known band upward, without learning"),
    ("restorer", "autoregressive", "baselines.autoregressive:Autoregressive",
     "fills gaps with the least excitation (Janssen et al. 1986)"),
    ("restorer", "sparse", "baselines.sparse:Sparse",
     "fills gaps with few frequencies (in the manner of A-SPAIN)"),
    ("restorer", "audiosr", "baselines.audiosr:AudioSR", "AudioSR, where it is installed"),
    ("preset", "paper", "presets:paper.yaml", "the paper's model, 565 M parameters"),
)


@hookimpl
def a2sb_register(registrar: Registrar) -> None:
    """Register the built-in parts of this package."""
    for kind, name, target, summary in _PARTS:
        registrar.add(kind, name, f"a2sb_tasks.{target}", summary=summary)
