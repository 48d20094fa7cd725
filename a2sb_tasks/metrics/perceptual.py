"""Perceptual metrics."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import torch
import torchaudio.functional
from torch import Tensor

from a2sb_core.interfaces import ComponentConfig, Metric
