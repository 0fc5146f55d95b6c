# Build with uv, run without it: the image has Python, the packages of uv.lock and the code, no compiler and no tests.
# The embedded PostgreSQL and Valkey stay out: `uv sync` installs no extra unless asked.

FROM python:3.13-slim-bookworm AS build
RUN python -m pip install --no-cache-dir --quiet uv
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never UV_PROJECT_ENVIRONMENT=/opt/plancharge
WORKDIR /build
# The packages first: they change less often than the code.
COPY pyproject.toml uv.lock README.md LICENSE ./
RUN uv sync --frozen --no-dev --no-install-project
COPY server server
COPY schema schema
COPY migrations migrations
COPY clients clients
COPY execution execution
RUN uv sync --frozen --no-dev --no-editable

FROM python:3.13-slim-bookworm
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin plancharge
COPY --from=build /opt/plancharge /opt/plancharge
ENV PATH=/opt/plancharge/bin:$PATH PYTHONUNBUFFERED=1
USER plancharge
WORKDIR /tmp
EXPOSE 8200
# slim has no curl; the worker's container switches this off (docker-compose.yml).
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8200/health', timeout=2)"]
ENTRYPOINT ["plancharge"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8200", "--workers", "2"]
