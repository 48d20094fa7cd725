#!/usr/bin/env bash
# Benchmarks of one NVIDIA GPU, in about ten minutes: precision, memory layout, compilation with
# CUDA graphs, xformers where it is installed, the network of the paper (565 M parameters, random
# weights), and an hour of noise. Results are written to benchmark_output, or to the folder $1.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python}
if ! "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then
    echo "This machine has no NVIDIA GPU that PyTorch can use; nothing was measured." >&2
    exit 1
fi
output=${1:-benchmark_output}
"$python" benchmarks all --device cuda --output "$output"
"$python" benchmarks network --device cuda --windows 32 --compiled --output "$output"
"$python" benchmarks network --model paper --device cuda --windows 16 --rounds 3 --output "$output"
"$python" benchmarks all --device cuda --seconds 3600 --rounds 1 --output "$output/hour"
