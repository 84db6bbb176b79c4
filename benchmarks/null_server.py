"""An AWS that answers after a set delay and counts what it is asked: S3 with memory, DynamoDB without.

Run as a process: prints its port, serves on 127.0.0.1, ends with its standard input.
"""

import asyncio
import json
import sys
from collections import Counter
from urllib.parse import unquote

HEAD = b"HTTP/1.1 %s\r\nContent-Length: %d\r\n%s\r\n"


class Server:
    """One server: its objects, its counts, its delay in seconds."""

    def __init__(self, delay: float) -> None:
        self.delay = delay
        self.objects: dict[str, bytes] = {}
        self.calls: Counter[str] = Counter()
        self.received = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                method, path, _ = head[0].split(" ", 2)
                headers = {
                    name.lower(): value.strip() for name, _, value in (h.partition(":") for h in head[1:])
                }
                if headers.get("expect"):
                    writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                if headers.get("transfer-encoding") == "chunked":
                    body = await self.chunked(reader)
                else:
                    body = await reader.readexactly(int(headers.get("content-length", 0)))
                self.received += len(body)
                if headers.get("content-encoding", "").startswith("aws-chunked"):
                    body = unchunked(body)
                if not path.startswith("/_"):
                    await asyncio.sleep(self.delay)
                writer.write(self.answer(method, path, headers, body))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionResetError):
            writer.close()

    async def chunked(self, reader: asyncio.StreamReader) -> bytes:
        """Read a body in chunks."""
        body = b""
        while size := int((await reader.readline()).split(b";")[0], 16):
            body += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
        return body

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> bytes:
        """Return the answer to one request."""
        if path == "/_counts":
            counts = {"calls": self.calls, "bytes": self.received}
            self.calls, self.received = Counter(), 0
            return reply(json.dumps(counts).encode())
        target = headers.get("x-amz-target", "")
        if target:
            operation = target.partition(".")[2]
            self.calls[operation] += 1
            return reply(json.dumps(dynamodb(operation, body)).encode(), kind="application/x-amz-json-1.0")
        key, _, query = unquote(path).partition("?")
        self.calls[f"{method} {'list' if 'list-type' in query else 'object'}"] += 1
        if method == "PUT":
            if headers.get("if-none-match") == "*" and key in self.objects:
                return reply(b"<Error><Code>PreconditionFailed</Code></Error>", b"412 Precondition Failed")
            self.objects[key] = body
            return reply(b"", extra=b'ETag: "0"\r\n')
        if key not in self.objects:
            return reply(
                b"" if method == "HEAD" else b"<Error><Code>NoSuchKey</Code></Error>", b"404 Not Found"
            )
        return reply(self.objects[key], extra=b'ETag: "0"\r\n')


def dynamodb(operation: str, body: bytes) -> dict[str, object]:
    """Return what an empty table says, or one in which every condition holds."""
    asked = json.loads(body)
    if operation == "BatchExecuteStatement":
        return {"Responses": [{} for _ in asked["Statements"]]}
    if operation == "BatchGetItem":
        return {"Responses": {name: [] for name in asked["RequestItems"]}, "UnprocessedKeys": {}}
    if operation == "BatchWriteItem":
        return {"UnprocessedItems": {}}
    return {}


def unchunked(body: bytes) -> bytes:
    """Return the payload of a body that the client has signed in chunks."""
    data = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        length = int(size.split(b";")[0], 16)
        if not length:
            break
        data, body = data + rest[:length], rest[length + 2 :]
    return data


def reply(body: bytes, status: bytes = b"200 OK", kind: str = "application/xml", extra: bytes = b"") -> bytes:
    """Return an HTTP answer."""
    return HEAD % (status, len(body), extra + f"Content-Type: {kind}\r\n".encode()) + body


async def main() -> None:
    """Serve until standard input ends."""
    server = await asyncio.start_server(Server(float(sys.argv[1])).serve, "127.0.0.1", 0, limit=2**20)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
