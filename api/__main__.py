"""The API as a server: python -m api --host 127.0.0.1 --port 8000. Each option has its reason beside it."""

import argparse

import uvicorn

from api.app import app
from api.patience import patient_with
from pitstop.settings import from_environment

# Finishing what has been begun on SIGTERM; a load balancer has taken the process out by then.
GRACE_SECONDS = 5
# Longer than the pauses of a client that works, shorter than those of one that has left. A proxy in front should close
# its idle connections sooner than this, or it sends a request into one that is just being closed.
KEEP_ALIVE_SECONDS = 15
# Connections that the kernel accepts while the process is busy: a burst waits there for milliseconds.
BACKLOG = 2048


def main() -> None:
    options = _options()
    settings = from_environment()
    uvicorn.run(
        app,
        host=options.host,
        port=options.port,
        access_log=False,
        # Whom a proxy speaks for is read in api/addresses.py, from the proxies of the settings only.
        proxy_headers=False,
        http=patient_with(settings.header_seconds),
        backlog=BACKLOG,
        # The last resort, above what lanes and streams let in: the answer is a bare 503, so it should never be seen.
        limit_concurrency=settings.connections_at_once,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m api", description="Serves the API until SIGTERM.")
    parser.add_argument("--host", default="127.0.0.1", help="The address to listen on (default: 127.0.0.1).")
    parser.add_argument("--port", default=8000, type=int, help="The port (default: 8000).")
    return parser.parse_args()


if __name__ == "__main__":
    main()
