"""May a message go there? To https, at an address out in the open; the operator alone may allow others by name."""

import ipaddress
import socket
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

Resolve = Callable[..., Sequence[tuple[Any, ...]]]
LONGEST = 2048
LONGEST_LABEL = 63


class Refused(ValueError):
    """A place that no message is sent to; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A checked URL."""

    secure: bool
    host: str
    port: int
    path: str


def place_of(url: str, allowed: Collection[str]) -> Place:
    """What a URL names. `allowed`: hosts that may be private, and plain http. Raises Refused."""
    if len(url) > LONGEST or any(not " " < letter < "\x7f" for letter in url):
        raise Refused("a URL has up to 2048 characters of ASCII, without spaces or control characters")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise Refused(f"this is no URL: {error}") from error
    host = (parts.hostname or "").rstrip(".")
    if parts.scheme not in {"http", "https"} or not host:
        raise Refused("a URL begins with https:// and names a host")
    if any(not 0 < len(label) <= LONGEST_LABEL for label in host.split(".")):
        raise Refused("a part of the host's name, between dots, has 1 to 63 letters")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise Refused("a URL holds no user, password or fragment: messages are signed instead")
    if parts.scheme == "http" and host not in allowed:
        raise Refused("messages are sent by https alone")
    _literal(host, allowed)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    secure = parts.scheme == "https"
    return Place(secure=secure, host=host, port=port or (443 if secure else 80), path=path)


def address_of(place: Place, allowed: Collection[str], resolve: Resolve = socket.getaddrinfo) -> str:
    """The address to connect to: resolved once, and every answer must be fit. Raises Refused, OSError."""
    found = [str(each[4][0]) for each in resolve(place.host, place.port, type=socket.SOCK_STREAM)]
    if not found:
        raise Refused(f"{place.host} has no address")
    if place.host not in allowed:
        for each in found:
            if not is_open(each):
                raise Refused(f"{place.host} leads to {each}, which is not out in the open")
    return found[0]


def is_open(address: str) -> bool:
    """Whether an address is reachable by everybody: not private, local, shared, reserved or for many."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    inner = getattr(ip, "ipv4_mapped", None) or getattr(ip, "sixtofour", None)
    if inner is None and isinstance(ip, ipaddress.IPv6Address) and ip in _NAT64:
        inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    if inner is not None:
        return is_open(str(inner))
    if any(ip in network for network in _NOT_OPEN):
        return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


_NOT_OPEN = tuple(
    map(ipaddress.ip_network, ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32", "fec0::/10", "3fff::/20"))
)
"""Set aside by IANA, and open for all that Python's own lists say (older ones lack some, none has site-local ones);
and the one public address at which a cloud's own services answer its machines."""
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def _literal(host: str, allowed: Collection[str]) -> None:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        if host not in allowed and ("." not in host or host.endswith((".local", ".internal", ".localhost"))):
            raise Refused(f"{host} is a name of this network alone") from None
        return
    if host not in allowed and not is_open(host):
        raise Refused(f"{host} is not out in the open")
