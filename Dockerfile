# Two images from one file:  docker build --target api -t lamina-api .     docker build --target worker -t lamina-worker .
# `api` serves the API, the scheduler and the migration and holds no torch; `worker` computes.
# Pin the base by digest where it matters:  --build-arg PYTHON=python:3.11-slim@sha256:...
ARG PYTHON=python:3.11-slim

FROM ${PYTHON} AS source
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /source
RUN python -m venv /opt/lamina
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY lamina ./lamina
COPY service ./service
COPY workers ./workers
COPY migrations ./migrations

FROM source AS api-packages
RUN /opt/lamina/bin/pip install --constraint constraints.txt '.[api]'

FROM source AS worker-packages
# Empty: PyPI's build of torch, which drives GPUs too. A build for CPUs alone is a few GB smaller:
#   --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cpu
ARG TORCH_INDEX=
RUN /opt/lamina/bin/pip install ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} --constraint constraints.txt '.[worker]'

FROM ${PYTHON} AS runtime
RUN groupadd --gid 10001 lamina \
    && useradd --uid 10001 --gid lamina --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin lamina \
    && install -d -o lamina -g lamina -m 0700 /var/lib/lamina /var/lib/lamina/blobs /var/lib/lamina/scratch
ENV PATH=/opt/lamina/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    LAMINA_BLOBS=/var/lib/lamina/blobs LAMINA_SCRATCH=/var/lib/lamina/scratch
WORKDIR /var/lib/lamina
USER lamina
ENTRYPOINT ["lamina"]

FROM runtime AS api
COPY --from=api-packages /opt/lamina /opt/lamina
ENV LAMINA_HOST=0.0.0.0 LAMINA_PORT=8321
EXPOSE 8321
CMD ["api"]

FROM runtime AS worker
COPY --from=worker-packages /opt/lamina /opt/lamina
# On SIGQUIT a worker puts back what it runs, for another to take; on SIGTERM it would first finish it, however long.
STOPSIGNAL SIGQUIT
CMD ["worker"]
