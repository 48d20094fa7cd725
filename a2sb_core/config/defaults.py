"""Defaults and choices that several rooms share."""

from __future__ import annotations

from typing import Literal

BackendName = Literal["torch", "onnx", "onnx-int8"]
"""Backend of the network: PyTorch, or ONNX Runtime in 32-bit floats or in 8 bits."""

DEFAULT_MODEL = "small"
"""Registered name of the model that is used if none is named: it is shipped and fits a CPU."""
MODEL_CONFIG = "config.json"
"""Name of the file in a model folder that describes the model."""
TEMPLATE = "{stem}.restored{ext}"
"""Names of results in a folder."""
DEFAULT_LOSS = "prediction"
"""Registered name of the loss that is the objective if none is named."""
EARLIER_STFT_LOSS = "stft_distance"
"""Registered name of the loss that the earlier field ``stft_weight`` stands for."""
