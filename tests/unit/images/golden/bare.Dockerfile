# An image for ds01.
# Image:     bare, as ds01-1001/bare
# Framework: Pytorch-2.5.1-plain
# Use case:  none
# Author:    alice
# Created:   2026-11-22 14:30 UTC, by ds01 0.1.0
#
# To change it: edit this file, then image-update bare --rebuild.

FROM pytorch/pytorch:2.5.1-cuda11.8-cudnn9-runtime
# Packages are installed by root; a container's processes have the uid of whose container it is.
USER root
# A build shall not see other people's GPUs where Docker's runtime gives it all of them; a container gets
# its own value from ds01.
ENV NVIDIA_VISIBLE_DEVICES=void

WORKDIR /workspace

RUN command -v apt-get >/dev/null \
    || { echo 'ds01: the base image has no apt-get. Remove this step from the Dockerfile.' >&2; exit 1; } \
    && apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
# ds01: system packages, one a line
        git \
        curl \
        wget \
        vim \
        htop \
# ds01: end of the system packages
    && rm -rf /var/lib/apt/lists/*

ENV PYTHONUNBUFFERED=1 \
    CUDA_DEVICE_ORDER=PCI_BUS_ID \
    HF_HOME=/workspace/.cache/huggingface \
    TORCH_HOME=/workspace/.cache/torch

LABEL maintainer="alice" \
    maintainer.id="1001" \
    ds01.image="bare" \
    ds01.framework="Pytorch-2.5.1-plain" \
    ds01.created="2026-11-22T14:30:00Z" \
    ds01.use_case="" \
    ds01.jupyter="false"

CMD ["/bin/bash"]
