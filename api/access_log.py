"""The server's access log, where somebody wants one: without queries, because a manage link's token is in one."""

import logging


class _WithoutQuery(logging.Filter):
    """uvicorn logs client, method, path with query, version and status."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple) and len(record.args) == 5:
            client, method, path, *rest = record.args
            record.args = (client, method, str(path).partition("?")[0], *rest)
        return True


def install() -> None:
    logging.getLogger("uvicorn.access").addFilter(_WithoutQuery())
