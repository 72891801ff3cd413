"""What waitress itself refuses, over real sockets."""

import json
import socket

import pytest

from service.contracts.problem import Problem

pytestmark = pytest.mark.stack


def answer(port: int, request: bytes) -> tuple[int, dict[str, str], bytes]:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request)
        content = b""
        while chunk := connection.recv(65536):
            content += chunk
    head, _, body = content.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    return int(first.split()[1]), dict(line.split(": ", 1) for line in lines), body


BROKEN = {
    b"nonsense\r\n\r\n": 400,
    b"GET / HTTP/1.1\r\nno colon\r\n\r\n": 400,
    b"POST /v1/blobs HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n": 413,
    b"POST /v1/blobs HTTP/1.1\r\nContent-Length: x\r\n\r\n": 400,
    b"POST /v1/blobs HTTP/1.1\r\nTransfer-Encoding: magic\r\n\r\n": 501,
}


@pytest.mark.parametrize(("request_", "status"), BROKEN.items(), ids=[str(text[:40]) for text in BROKEN])
def test_a_broken_request_gets_a_problem_too(port: int, request_: bytes, status: int) -> None:
    got, headers, body = answer(port, request_)

    assert got == status
    assert headers["Content-Type"] == "application/problem+json"
    assert Problem.model_validate_json(body).status == status
    assert headers["X-Request-Id"] == json.loads(body)["request_id"]


def test_the_server_says_nothing_about_itself(port: int) -> None:
    _, headers, _ = answer(port, b"GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n")

    assert "Server" not in headers
