# The scaler's image: `scaler serve` as nobody in particular, on a read-only root, with a configuration mounted at
# /etc/agent-scaler/pools.yaml. manifests/base/deployment.yaml runs it so.
#
#     docker build --tag agent-scaler:0.1.0 .

ARG PYTHON=3.11-slim-bookworm

# What is built with, and stays behind: pip, caches, the source.
FROM python:${PYTHON} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/scaler
WORKDIR /src
COPY constraints.txt ./
RUN /opt/scaler/bin/pip install --constraint constraints.txt setuptools
COPY pyproject.toml README.md LICENSE ./
COPY scaler ./scaler
RUN /opt/scaler/bin/pip install --constraint constraints.txt --no-build-isolation '.[scaler,gate]' \
    && /opt/scaler/bin/pip uninstall --yes setuptools pip

FROM python:${PYTHON}
COPY --from=build /opt/scaler /opt/scaler
ENV PATH=/opt/scaler/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# Memory and journal, for who mounts nothing there.
RUN install --directory --owner=65532 --group=65532 /var/lib/agent-scaler
USER 65532:65532
WORKDIR /var/lib/agent-scaler
EXPOSE 6000 8080
ENTRYPOINT ["scaler"]
CMD ["serve", "/etc/agent-scaler/pools.yaml", "--keda", "0.0.0.0:6000", "--http", "0.0.0.0:8080"]
