#!/bin/sh
# Measure a machine's GPU: runs/gpu/gpu.json and gpu.md. Needs Python 3.11 to 3.14 with PyTorch for CUDA; everything else
# goes into a virtual environment that sees that PyTorch. Under 8 minutes; exit code 2 where there is no GPU.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
"$python" -c 'import torch, sys; sys.exit(0 if torch.cuda.is_available() else 2)' || {
  echo "error: $python has no PyTorch that sees a GPU; PYTHON=... names another one" >&2
  exit 2
}
venv=${VENV:-.venv-gpu}
[ -x "$venv/bin/python" ] || "$python" -m venv --system-site-packages "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --editable . pytest beartype
"$venv/bin/python" -m benchmarks.gpu "$@"
"$venv/bin/python" -m pytest -m gpu -q -p no:cacheprovider tests/test_gpu.py
