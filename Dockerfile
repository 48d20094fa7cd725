# The command line a2sb with the model `small` inside; docs/platforms.md tells how to use it.
#
#   docker build --target cpu -t a2sb .
#   docker build --target cuda -t a2sb-cuda .
#
# Build arguments: PYTHON_VERSION; EXTRAS, the optional parts that are installed; and for --target
# cpu PIP_EXTRA_INDEX_URL, an index of PyTorch's builds for the CPU: where the default registry has
# none for the processor (x86-64), the image holds several GB for CUDA without it.

ARG PYTHON_VERSION=3.12

# PyTorch is a layer of its own: it changes seldom, and is most of what is installed.
FROM python:${PYTHON_VERSION}-slim AS packages
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PATH=/opt/a2sb/bin:$PATH
WORKDIR /source
RUN python -m venv /opt/a2sb
COPY constraints.txt ./
ARG PIP_EXTRA_INDEX_URL
RUN pip install -c constraints.txt "torch>=2.11,<2.12" "torchaudio>=2.11,<2.12"
ARG EXTRAS=media
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY a2sb_core a2sb_core
COPY a2sb_tasks a2sb_tasks
COPY a2sb_backbones a2sb_backbones
RUN pip install -c constraints.txt ".[${EXTRAS}]"

# Not root; any other user may be given too (--user), so that files belong to who asks for them.
FROM python:${PYTHON_VERSION}-slim AS runtime
RUN useradd --uid 1000 --create-home a2sb \
    && chmod 1777 /home/a2sb \
    && install --directory --owner=a2sb /music
COPY --from=packages /opt/a2sb /opt/a2sb
ENV HOME=/home/a2sb USER=a2sb PATH=/opt/a2sb/bin:$PATH PYTHONUNBUFFERED=1
WORKDIR /music
USER a2sb
EXPOSE 7860
HEALTHCHECK --interval=30m --timeout=2m --start-period=1m CMD ["a2sb", "doctor"]
ENTRYPOINT ["a2sb"]
CMD ["--help"]

# The driver and its tool are the host's; CUDA itself comes with PyTorch.
FROM runtime AS cuda
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility

FROM runtime AS cpu
