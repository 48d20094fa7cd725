# The command line a2sb with the model `small` inside; docs/platforms.md tells how to use it.
#
#   docker build --target cpu -t a2sb .
#   docker build --target cuda -t a2sb-cuda .
#
# Build arguments: PYTHON_IMAGE; and PIP_EXTRA_INDEX_URL, an index of PyTorch's builds for the CPU,
# for --target cpu: where the default registry has none for the processor (x86-64), the image holds
# several GB for CUDA without it. `make lock` writes the locks; only PyTorch from another index, and
# what it requires, is not checked against their hashes.

# The index of the images of all platforms, as of October 2026. To pin a later one, ask for its
# digest with `docker buildx imagetools inspect python:3.12-slim-trixie`.
ARG PYTHON_IMAGE=python:3.12.15-slim-trixie@sha256:05cda9777409a9c3ffddd94a4c476b79f0769a0b4857f0c7ed9226b6800b0d6f

# PyTorch is a layer of its own: it changes seldom, and is most of what is installed.
FROM ${PYTHON_IMAGE} AS packages
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ONLY_BINARY=:all: PATH=/opt/a2sb/bin:$PATH
WORKDIR /source
RUN python -m venv /opt/a2sb
COPY constraints.txt torch.lock ./
ARG PIP_EXTRA_INDEX_URL
RUN if [ -z "${PIP_EXTRA_INDEX_URL}" ]; then \
        pip install --require-hashes -r torch.lock; \
    else \
        pip install -c constraints.txt "torch>=2.11,<2.12" "torchaudio>=2.11,<2.12"; \
    fi
COPY requirements.lock ./
RUN pip install --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY a2sb_core a2sb_core
COPY a2sb_tasks a2sb_tasks
COPY a2sb_backbones a2sb_backbones
RUN pip install --no-deps --no-build-isolation . && pip check

# Not root; any other user may be given too (--user), so that files belong to who asks for them.
FROM ${PYTHON_IMAGE} AS runtime
RUN useradd --uid 1000 --create-home a2sb \
    && chmod 1777 /home/a2sb \
    && install --directory --owner=a2sb /music
COPY --from=packages /opt/a2sb /opt/a2sb
ENV HOME=/home/a2sb USER=a2sb PATH=/opt/a2sb/bin:$PATH PYTHONUNBUFFERED=1
WORKDIR /music
USER 1000
EXPOSE 7860 8000
HEALTHCHECK --interval=30m --timeout=2m --start-period=1m CMD ["a2sb", "doctor"]
ENTRYPOINT ["a2sb"]
CMD ["--help"]

# The driver and its tool are the host's; CUDA itself comes with PyTorch.
FROM runtime AS cuda
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility

FROM runtime AS cpu
