# Stands in for mongo:8 with a server that speaks MongoDB's wire protocol; `packages` holds its Python packages.
ARG BASE
FROM ${BASE}
RUN apt-get update && apt-get install --yes --no-install-recommends python3 && rm -rf /var/lib/apt/lists/*
COPY packages /opt/packages
ENV PYTHONPATH=/opt/packages
WORKDIR /data/db
EXPOSE 27017
CMD ["python3", "-c", "from secantus.cli import main; main()", \
     "--host", "0.0.0.0", "--port", "27017", "--storage-path", "/data/db", "--sync-on-commit"]
