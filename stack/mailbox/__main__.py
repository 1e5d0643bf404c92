"""`python -m stack.mailbox --smtp-port 1025 --http-port 8025 --folder letters` is the mailbox, until it is stopped."""

import argparse
import asyncio
import logging
from pathlib import Path

import uvicorn

from stack.mailbox.letters import Letters
from stack.mailbox.smtp import Postman, smtp_protocol
from stack.mailbox.web import MailboxPages
from stack.ports import LOOPBACK


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m stack.mailbox", description=__doc__)
    parser.add_argument("--smtp-port", type=int, required=True, help="where letters are taken")
    parser.add_argument("--http-port", type=int, required=True, help="where they are shown")
    parser.add_argument("--folder", type=Path, required=True, help="where they are kept")
    parser.add_argument("--host", default=LOOPBACK, help="the interface for both")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("mail.log").setLevel(logging.WARNING)  # aiosmtpd's, which names every recipient.
    asyncio.run(_serve(options.folder, options.host, options.smtp_port, options.http_port))


async def _serve(folder: Path, host: str, smtp_port: int, http_port: int) -> None:
    letters = Letters(folder)
    postman = Postman(letters)
    smtp = await asyncio.get_running_loop().create_server(smtp_protocol(postman), host, smtp_port)
    config = uvicorn.Config(
        MailboxPages(letters, postman).app(),
        host=host,
        port=http_port,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=2,
        ws="none",
    )
    async with smtp:
        await uvicorn.Server(config).serve()


if __name__ == "__main__":
    main()
