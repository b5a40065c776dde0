# One image for worker, API and the step that sets the database's passwords. The command decides which it is.
FROM python:3.11-slim AS packages
WORKDIR /srv
COPY pyproject.toml uv.lock ./
# The uv that uv.lock names makes .venv from uv.lock, without what only development needs.
RUN pip install --no-cache-dir "uv==$(sed -n '/^name = "uv"$/{n;s/^version = "\(.*\)"$/\1/p;}' uv.lock)" \
    && UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy uv sync --frozen --no-dev

FROM python:3.11-slim
RUN useradd --system --uid 10001 --no-create-home pitstop
WORKDIR /srv
COPY --from=packages /srv/.venv .venv
COPY worker.py ./
COPY activities activities
COPY api api
COPY deploy deploy
COPY pitstop pitstop
COPY web web
COPY workflows workflows
ENV PATH=/srv/.venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER pitstop
