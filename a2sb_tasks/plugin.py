"""Names of the built-in components, registered without importing the components."""

from __future__ import annotations

from a2sb_core.plugins import Registrar, hookimpl

_PARTS: tuple[tuple[str, ...], ...] = (
    (
        "representation",
        "factorized",
        "representations.factorized:Factorized",
        "compressed magnitude, cosine and sine of the phase (the paper's)",
    ),
    (
        "representation",
        "complex_stft",
        "representations.complex_stft:ComplexSTFT",
        "real and imaginary part (the paper's ablation)",
    ),
    (
        "representation",
        "mdct",
        "representations.mdct:MDCT",
        "modified discrete cosine transform: real, without redundancy",
    ),
    ("representation", "cqt", "representations.cqt:CQT", "invertible constant-Q transform"),
    (
        "representation",
        "joint",
        "representations.joint:Joint",
        "several audio channels as one item, optionally as middle and side",
    ),
    (
        "corruption",
        "bandwidth",
        "corruptions.bandwidth:Bandwidth",
        "everything above a cutoff is missing",
    ),
    ("corruption", "inpainting", "corruptions.inpainting:Inpainting", "gaps in time are missing"),
    ("corruption", "mixture", "corruptions.mixture:Mixture", "weighted choice of corruptions"),
    ("corruption", "declip", "corruptions.declip:Declip", "peaks are cut off"),
    ("corruption", "denoise", "corruptions.denoise:Denoise", "white or pink noise is added"),
    ("corruption", "dereverb", "corruptions.dereverb:Dereverb", "reverberation of a room is added"),
    ("corruption", "codec", "corruptions.codec:Codec", "coded as MP3, Ogg Vorbis or Opus"),
    (
        "corruption",
        "continuation",
        "corruptions.continuation:Continuation",
        "the start or the end is missing",
    ),
    (
        "corruption",
        "composite",
        "corruptions.composite:Composite",
        "several kinds of damage in sequence",
    ),
    (
        "corruption",
        "everything",
        "corruptions.everything:Everything",
        "everything is missing: for unconditional models",
    ),
    (
        "guess",
        "replication",
        "guesses.replication:Replication",
        "the octave below the cutoff, copied up at a predicted level",
    ),
    (
        "guess",
        "linear_prediction",
        "guesses.linear_prediction:LinearPrediction",
        "tones continued into a gap from both sides",
    ),
    (
        "guess",
        "similar_passage",
        "guesses.similar_passage:SimilarPassage",
        "the most similar passages of the recording, for a gap",
    ),
    ("bridge", "diffusion", "bridges.diffusion:Diffusion", "from noise, with the cosine schedule"),
    ("bridge", "i2sb", "bridges.i2sb:I2SB", "Schrodinger bridge with the symmetric schedule"),
    ("bridge", "ve", "bridges.schrodinger:VE", "Schrodinger bridge with exploding variance"),
    ("bridge", "vp", "bridges.schrodinger:VP", "Schrodinger bridge with preserved variance"),
    ("bridge", "gmax", "bridges.schrodinger:GMax", "Schrodinger bridge with linear diffusion"),
    ("bridge", "brownian", "bridges.interpolating:BrownianBridge", "line with constant diffusion"),
    ("bridge", "interpolant", "bridges.interpolating:Interpolant", "stochastic interpolant"),
    ("bridge", "ou", "bridges.interpolating:OU", "reverts to the degraded end"),
    ("bridge", "flow", "bridges.interpolating:Flow", "flow matching: a line without noise"),
    ("prediction", "paper", "predictions.paper:Paper", "(x_t - x0)/sigma_t, equation (10)"),
    ("prediction", "guided", "predictions.guided:Guided", "guidance towards the known content"),
    (
        "prediction",
        "preconditioned",
        "predictions.preconditioned:Preconditioned",
        "scaled input, skip and output for small networks",
    ),
    ("loss", "prediction", "losses.prediction:PredictionError", "error of the prediction (10)"),
    ("loss", "stft_distance", "losses.spectral:STFTDistance", "multi-resolution STFT distance"),
    (
        "loss",
        "band_levels",
        "losses.spectral:BandLevels",
        "levels by third-octave and 46 ms, in dB",
    ),
    ("loss", "log_spectrum", "losses.spectral:LogSpectrum", "difference of log power"),
    ("loss", "critic", "losses.critic:Critic", "spectrogram critic with feature matching"),
    ("sampler", "ancestral", "samplers.ancestral:Ancestral", "draws from the posterior (19)"),
    ("sampler", "ode", "samplers.ancestral:ODE", "takes the mean of the posterior (19)"),
    (
        "sampler",
        "implicit",
        "samplers.implicit:Implicit",
        "deterministic: carries the implied noise",
    ),
    (
        "sampler",
        "multidiffusion",
        "samplers.multidiffusion:MultiDiffusion",
        "overlapping windows of a long file, averaged (20)",
    ),
    (
        "metric",
        "lsd",
        "metrics.spectral:LSD",
        "log-spectral distance (21)",
        "lsd",
        "lsd(region=missing)",
    ),
    (
        "metric",
        "sispec",
        "metrics.spectral:SiSpec",
        "scale-invariant spectrogram ratio (22)",
        "sispec",
        "sispec(exponent=2)",
        "sispec(region=missing)",
    ),
    ("metric", "join_step", "metrics.edges:Join", "error of the step in level across the cutoff"),
    ("metric", "surplus", "metrics.edges:Surplus", "power where the truth has none"),
    ("metric", "stereo_image", "metrics.image:Image", "error of the stereo image by third-octave"),
    ("metric", "note_f1", "metrics.notes:NoteF1", "F1 of transcribed notes"),
    ("metric", "visqol", "metrics.visqol:Visqol", "predicted opinion score, audio mode", "visqol"),
    ("metric", "mos_fit", "metrics.mos_fit:MOSFit", "opinion score predicted by a linear fit"),
    ("metric", "si_sdr", "metrics.waveform:SISDR", "scale-invariant signal-to-distortion ratio"),
    (
        "metric",
        "phase_residual",
        "metrics.phase:PhaseResidual",
        "distance of a model's phases from the unit circle (18)",
    ),
    (
        "protocol",
        "bandwidth",
        "protocols.bandwidth:BandwidthLimit",
        "limits the bandwidth by resampling; the argument is the cutoff in kHz",
        "bandwidth-4k",
        "bandwidth-8k",
    ),
    (
        "protocol",
        "gap",
        "protocols.gap:RegularGaps",
        "silences a gap every 5 s; the argument is its length in ms",
        "gap-300",
    ),
    ("restorer", "silence", "baselines.silence:Silence", "leaves the damaged audio as it is"),
    (
        "restorer",
        "band_replication",
        "baselines.band_replication:BandReplication",
        "copies the known band upward, without learning",
        "band_replication",
    ),
    (
        "restorer",
        "autoregressive",
        "baselines.autoregressive:Autoregressive",
        "fills gaps with the least excitation (Janssen et al. 1986)",
    ),
    (
        "restorer",
        "sparse",
        "baselines.sparse:Sparse",
        "fills gaps with few frequencies (similar to A-SPAIN)",
    ),
    (
        "restorer",
        "similar_passage",
        "baselines.passages:PassageFiller",
        "fills gaps with the most similar passages of the recording",
    ),
    ("restorer", "audiosr", "baselines.audiosr:AudioSR", "AudioSR, if it is installed"),
    ("preset", "paper", "presets:paper.yaml", "the paper's model, 565 M parameters"),
    ("preset", "paper-2", "presets:paper_2.yaml", "the paper's model with two experts"),
    ("preset", "paper-4", "presets:paper_4.yaml", "the paper's model with four experts"),
    (
        "preset",
        "paper-release",
        "presets:paper_release.yaml",
        "the paper's model as the published checkpoints compute",
    ),
)


@hookimpl
def a2sb_register(registrar: Registrar) -> None:
    """Register the components of this package."""
    for kind, name, target, summary, *typical in _PARTS:
        registrar.add(kind, name, f"a2sb_tasks.{target}", summary=summary, typical=typical)
    texts = "a2sb_tasks.corruptions.texts"
    registrar.add_option(
        "bandwidth",
        "cutoff_hz",
        "--cutoff",
        metavar="HZ",
        help="Highest frequency in Hz that the recording holds.",
        label="Cutoff in Hz",
        parse=f"{texts}:parse_hertz",
        show=f"{texts}:show_hertz",
    )
    registrar.add_option(
        "bandwidth",
        "ceiling_hz",
        "--ceiling",
        metavar="HZ",
        help="Frequency in Hz above which nothing is added (default: the model decides).",
        label="Ceiling in Hz",
        parse=f"{texts}:parse_hertz",
        show=f"{texts}:show_hertz",
    )
    registrar.add_option(
        "inpaint",
        "gaps_s",
        "--gap",
        metavar="START:END",
        help="Gap to fill, in seconds; repeatable.",
        label="Gaps in seconds",
        parse=f"{texts}:parse_gap",
        show=f"{texts}:show_gap",
        is_list=True,
    )
    registrar.add_option(
        "inpaint",
        "gaps_s",
        "--gap-file",
        metavar="FILE",
        help="File with gaps to fill, as CSV or labels of an audio editor; {stem} in its name "
        "stands for the name of the recording.",
        parse="a2sb_tasks.corruptions.gap_lists:read_gaps",
        is_file=True,
    )
