# nightly-etl: `docker run --rm -e TABLES=… -e ETL_OPERATIONAL_URL=… -e ETL_REPORTING_URL=… IMAGE`
# Needs neither a writable root nor a capability: `--read-only --cap-drop ALL`.

FROM python:3.13-slim AS build
RUN pip install --no-cache-dir --disable-pip-version-check --root-user-action ignore uv==0.13.9
ENV UV_PROJECT_ENVIRONMENT=/opt/etl UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_NO_CACHE=1 UV_PYTHON_DOWNLOADS=never
WORKDIR /src
# The packages change seldom, the code often: a layer for each.
COPY pyproject.toml uv.lock ./
RUN uv sync --frozen --no-dev --extra lambda --no-install-project --quiet
COPY README.md LICENSE ./
COPY docs/man docs/man
COPY etl etl
# nightly-jobs is for people, and its package is not here.
RUN uv sync --frozen --no-dev --extra lambda --no-editable --quiet && rm /opt/etl/bin/nightly-jobs
# pyproject.toml has the version; a label can only be told it, so it is held against what is installed.
ARG VERSION=unknown
RUN set -e; is="$(uv version --short)"; case "$VERSION" in unknown|"$is") ;; *) \
    echo "VERSION is '$VERSION', pyproject.toml says $is; build with 'make image'" >&2; exit 1 ;; esac

FROM python:3.13-slim
COPY --from=build /opt/etl /opt/etl
# The bytecode is there already, and a read-only root takes no more. Certificates are looked for in ~/.postgresql.
ENV PATH=/opt/etl/bin:$PATH PYTHONDONTWRITEBYTECODE=1 HOME=/home/etl
USER 65532:65532
# Exec form: etl is process 1, so the SIGTERM of `docker stop`, ECS and Batch reaches it.
ENTRYPOINT ["etl"]
CMD ["run"]

ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="nightly-etl" \
      org.opencontainers.image.description="Copies an operational PostgreSQL to a reporting PostgreSQL every night: one snapshot, one publish" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="docker.io/library/python:3.13-slim" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
