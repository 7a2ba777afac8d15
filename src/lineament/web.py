"""HTTP for addresses that others may have written: of photos, and of weights.

A name is looked up once. Each address of the answer is judged, and the connection goes to an
address that was judged: a name that stands for something else a moment later gains nothing. The
same holds for every redirect. With a proxy (``http_proxy``, ``https_proxy``, ``no_proxy``) the
name is looked up and judged all the same, where that can be done from here; but it is the proxy
that connects, and what it takes the name for is its own affair.

Every wait ends at a deadline, however the server spreads its bytes, and every connection is closed
when the block around it ends. Only looking up a name cannot be stopped: it has a thread, which
nobody waits for any longer, and which ends when the system gives up.

Special addresses: IANA's registries of IPv4 and IPv6 special-purpose addresses (RFC 6890).
"""

from __future__ import annotations

import base64
import io
import ipaddress
import socket
import string
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from typing import Any, NamedTuple
from urllib.parse import quote, unquote, urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

from lineament.text import printable

MAX_REDIRECTS = 5

LONGEST_WAIT_S = 86_400.0
"""At once: systems have no timers for any number of seconds."""

LONGEST_WORDS = 100
"""Characters of what a server says that are shown."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})

_SPECIAL_4 = [
    ipaddress.IPv4Network(block)
    for block in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
        *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16"),
        *("198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
    )
]
_GLOBAL_6 = ipaddress.IPv6Network("2000::/3")
"""What is given out; loopback, link-local, local, multicast and mapped ones lie outside."""
_SPECIAL_6 = [
    ipaddress.IPv6Network(block)
    for block in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
]
"""Teredo and other protocols, documentation, 6to4."""

_LOCAL_NAMES = (".localhost", ".local", ".internal", ".home.arpa", ".localdomain")


class WebError(OSError):
    """What was asked for is not to be had; ``strerror`` says why in plain words."""

    def __init__(self, words: str) -> None:
        """``words``: what went wrong."""
        super().__init__(0, words)


class PrivateAddressError(WebError):
    """The address is not a public one."""


class RedirectError(WebError):
    """Too many redirects, or one that is not followed."""


class Deadline:
    """The moment at which waiting ends; it may be put off."""

    def __init__(self, seconds: float) -> None:
        """So many seconds from now."""
        self.put_off(seconds)

    def put_off(self, seconds: float) -> None:
        """It is so many seconds from now."""
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds, above 0. TimeoutError: there are none left."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return min(left, LONGEST_WAIT_S)


class Answer:
    """What a server answers: the head is here, the body is read piece by piece.

    Attributes:
        status: 200, or another one that is no redirect.
        deadline: of all that is still to be read.
    """

    def __init__(self, response: HTTPResponse, deadline: Deadline) -> None:
        """Use ``open_url``."""
        self._response = response
        self.status = response.status
        self.deadline = deadline

    @property
    def words(self) -> str:
        """Status and reason as a person may see them: "503 (busy)"."""
        reason = brief(self._response.reason)
        return f"{self.status} ({reason})" if reason else f"{self.status}"

    @property
    def length(self) -> int | None:
        """Bytes of the body that are announced."""
        return number_of(self.header("Content-Length"))

    def header(self, name: str) -> str | None:
        """The value of a header."""
        return self._response.headers.get(name)

    def read(self, most: int) -> bytes:
        """At most so many bytes, as soon as there are any; none at the end.

        Raises:
            TimeoutError: the deadline passed.
            OSError, HTTPException: the connection broke.
        """
        return self._response.read1(most)


def brief(text: str) -> str:
    """What a server says, as a person may see it: one line, not too long."""
    words = printable(" ".join(text[: 4 * LONGEST_WORDS].split()))
    return words if len(words) <= LONGEST_WORDS else f"{words[: LONGEST_WORDS - 1]}…"


def number_of(digits: str | None) -> int | None:
    """A number of a header; None if it is none. Of a longer one the first forty digits count."""
    if digits is None or not digits.strip().isdecimal():
        return None
    return int(digits.strip()[:40])


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet: of no machine or network of one's own.

    Not public are: loopback, private, shared (100.64.0.0/10), link-local, multicast, reserved and
    unspecified addresses, those for documentation, and IPv6 addresses that stand for an IPv4
    address, whichever (mapped, NAT64, 6to4, Teredo).

    Raises:
        ValueError: it is no IP address.
    """
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv4Address):
        return not any(ip in block for block in _SPECIAL_4)
    return ip.scope_id is None and ip in _GLOBAL_6 and not any(ip in block for block in _SPECIAL_6)


def _is_this_machine(address: str) -> bool:
    return ipaddress.ip_address(address).is_loopback


@contextmanager
def open_url(
    url: str,
    deadline: Deadline,
    *,
    headers: Mapping[str, str] | None = None,
    allow_private: bool = False,
    allow_own: bool = False,
) -> Iterator[Answer]:
    """Ask for what is at an address, and follow redirects.

    Args:
        url: http or https, without user and password.
        deadline: for everything up to the answer's head, and for its body unless it is put off.
        headers: more of them.
        allow_private: any address may be asked, not only public ones.
        allow_own: ``url`` may lead to this machine (127.0.0.1, ::1), and if it does, so may its
            redirects.

    Yields:
        The answer, whatever its status is.

    Raises:
        PrivateAddressError, RedirectError, WebError: see there; all are OSErrors.
        TimeoutError: the deadline passed.
        OSError, HTTPException: there is no connection, or no answer in HTTP.
    """
    for _ in range(MAX_REDIRECTS + 1):
        place = _Place.of(url)
        asked = place.connected(deadline, allow_private, allow_own)
        try:
            allow_own = allow_own and asked.own
            response = asked.response(headers or {})
            target = response.headers.get("Location")
            if response.status not in _REDIRECTS or target is None:
                encoding = response.headers.get("Content-Encoding", "").strip().lower()
                if response.status < 300 and encoding not in ("", "identity"):
                    raise WebError(f"the server packs it ({brief(encoding)}) without being asked")
                yield Answer(response, deadline)
                return
        finally:
            asked.close()
        url = _redirected(url, target)
    raise RedirectError(f"more than {MAX_REDIRECTS} redirects")


def _redirected(url: str, target: str) -> str:
    """Where a redirect leads. RedirectError: it is not followed there."""
    try:
        new = urljoin(url, quote(target, encoding="iso-8859-1", safe=string.punctuation))
        followed = urlsplit(new).scheme in ("http", "https")
    except ValueError:
        followed = False
    if not followed:
        raise RedirectError("a redirect leads neither to http nor to https")
    return new


def public_address(host: str, port: int, deadline: Deadline, *, allow_private: bool) -> str:
    """The IP address that a name stands for, judged as those of ``open_url`` are.

    For protocols that are spoken by others: connect to this, not to the name.

    Raises:
        PrivateAddressError: it is not public, and ``allow_private`` is False.
        WebError, OSError: there is no such name.
        TimeoutError: the deadline passed.
    """
    found = [each[4][0] for each in _looked_up(host, port, deadline)]
    allowed = found if allow_private else [each for each in found if is_public(each)]
    if not allowed:
        raise PrivateAddressError("it leads to an address that is not public")
    return str(allowed[0])


class _Place(NamedTuple):
    """An address, taken apart."""

    secure: bool
    host: str
    port: int
    target: str
    """Path and query."""

    @staticmethod
    def of(url: str) -> _Place:
        """Take it apart. WebError: it is none that can be asked."""
        try:
            parts = urlsplit(url)
            secure, host, port = parts.scheme == "https", parts.hostname, parts.port
        except ValueError as error:
            raise WebError(f"it is no address: {brief(str(error))}") from error
        if parts.scheme not in ("http", "https"):
            raise WebError("it is neither http nor https")
        if "@" in parts.netloc:
            raise WebError("it holds a user or a password")
        if host is None or "%" in host or not host.isprintable() or " " in host:
            raise WebError("it names no server")
        path = quote(parts.path or "/", safe=string.punctuation)
        query = quote(parts.query, safe=string.punctuation)
        port = (443 if secure else 80) if port is None else port
        return _Place(secure, host, port, f"{path}?{query}" if query else path)

    def connected(self, deadline: Deadline, allow_private: bool, allow_own: bool) -> _Asked:
        """Connect to it, or to the proxy that is to be asked for it."""
        proxy = _proxy(self)
        if proxy is not None:
            private, own = _is_private_behind_proxy(self, deadline), False
            found = _looked_up(proxy.host, proxy.port, deadline)
        else:
            everything = _looked_up(self.host, self.port, deadline)
            found = [each for each in everything if is_public(each[4][0])]
            private = not found
            own = private and all(_is_this_machine(each[4][0]) for each in everything)
            found = everything if allow_private or (allow_own and own) else found
        if private and not (allow_private or (allow_own and own)):
            raise PrivateAddressError("it leads to an address that is not public")
        return _Asked(self, proxy, _Line(_connect(found, deadline), deadline), own)


class _Proxy(NamedTuple):
    host: str
    port: int
    headers: dict[str, str]
    """Who is asking it."""


class _Asked:
    """A connection for one question.

    Attributes:
        own: it leads to this machine.
    """

    def __init__(self, place: _Place, proxy: _Proxy | None, line: _Line, own: bool) -> None:
        self.place, self.own = place, own
        self._proxy, self._line = proxy, line

    def response(self, headers: Mapping[str, str]) -> HTTPResponse:
        """Ask, and read the answer's head."""
        place, target, more = self.place, self.place.target, {}
        if place.secure:
            if self._proxy is not None:
                self._tunnel(self._proxy)
            self._line.secure(place.host)
        elif self._proxy is not None:
            host = f"[{place.host}]" if ":" in place.host else place.host
            target, more = f"http://{host}:{place.port}{target}", self._proxy.headers
        connection = _over(self._line, place.host, place.port)
        connection.default_port = 443 if place.secure else 80
        sent = {"User-Agent": "lineament", "Accept-Encoding": "identity", "Connection": "close"}
        connection.request("GET", target, headers={**sent, **headers, **more})
        return connection.getresponse()

    def _tunnel(self, proxy: _Proxy) -> None:
        host = f"[{self.place.host}]" if ":" in self.place.host else self.place.host
        end = f"{host}:{self.place.port}"
        connection = _over(self._line, proxy.host, proxy.port)
        connection.request("CONNECT", end, headers={"Host": end, **proxy.headers})
        response = connection.getresponse()
        if response.status != 200:
            raise WebError(f"the proxy answers {response.status} {brief(response.reason)}")

    def close(self) -> None:
        """Hang up."""
        self._line.hang_up()


def _over(line: _Line, host: str, port: int) -> HTTPConnection:
    """HTTP over a connection that exists."""
    connection = HTTPConnection(host, port)
    connection.auto_open = 0  # it never connects by itself
    connection.sock = line
    return connection


class _Line:
    """A socket for ``http.client`` on which every wait ends at the deadline."""

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._socket, self._deadline = sock, deadline

    def secure(self, host: str) -> None:
        """Talk TLS from here on, with a server that proves to be ``host``."""
        import ssl

        context = ssl.create_default_context()
        context.set_alpn_protocols(["http/1.1"])
        self._socket.settimeout(self._deadline.left())
        self._socket = context.wrap_socket(self._socket, server_hostname=host.rstrip("."))

    def sendall(self, data: Any) -> None:
        """Send."""
        self._socket.settimeout(self._deadline.left())
        self._socket.sendall(data)

    def receive_into(self, buffer: Any) -> int:
        """Receive some bytes, 0 at the end."""
        self._socket.settimeout(self._deadline.left())
        return self._socket.recv_into(buffer)

    def makefile(self, _: str) -> io.BufferedReader:
        """What the answer is read from."""
        return io.BufferedReader(_Incoming(self))

    def close(self) -> None:
        """Nothing: ``http.client`` calls it before the body is read. See ``hang_up``."""

    def hang_up(self) -> None:
        """Close the socket."""
        self._socket.close()


class _Incoming(io.RawIOBase):
    def __init__(self, line: _Line) -> None:
        self._line = line

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._line.receive_into(buffer)


_Found = list[tuple[Any, ...]]
"""What ``socket.getaddrinfo`` gives."""


def _looked_up(host: str, port: int, deadline: Deadline) -> _Found:
    """The addresses of a name, and at least one; figures in any spelling need no server of names.

    Raises:
        OSError: there is no such name.
        TimeoutError: the deadline passed.
    """
    outcome: list[_Found | Exception] = []

    def look_up(flags: int = 0) -> None:
        try:
            outcome.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags))
        except Exception as error:
            outcome.append(error)

    look_up(socket.AI_NUMERICHOST)
    if not isinstance(outcome[0], list):
        outcome.clear()
        thread = threading.Thread(target=look_up, name="lineament-lookup", daemon=True)
        thread.start()
        thread.join(deadline.left())
    if not outcome:
        raise TimeoutError
    found = outcome[0]
    if isinstance(found, UnicodeError) or found == []:
        raise WebError("it names no server")
    if isinstance(found, Exception):
        raise found
    return [each for each in found if each[0] in (socket.AF_INET, socket.AF_INET6)]


def _connect(found: _Found, deadline: Deadline) -> socket.socket:
    """Connect to the first address that answers; each has its share of the time."""
    failed: OSError = WebError("it names no server")
    for number, (family, kind, protocol, _, address) in enumerate(found):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(deadline.left() / (len(found) - number))
            sock.connect(address)
        except OSError as error:
            sock.close()
            failed = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failed


def _proxy(place: _Place) -> _Proxy | None:
    """The proxy of the user's settings for an address. WebError: it cannot be used."""
    setting = getproxies().get("https" if place.secure else "http", "")
    if not setting or proxy_bypass(f"{place.host}:{place.port}"):
        return None
    try:
        parts = urlsplit(setting if "://" in setting else f"http://{setting}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if host is None or parts.scheme != "http":
        raise WebError("the proxy of the environment is none of http://HOST:PORT")
    headers = {}
    if parts.username is not None:
        who = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Proxy-Authorization"] = f"Basic {base64.b64encode(who.encode()).decode()}"
    return _Proxy(host, 80 if port is None else port, headers)


def _is_private_behind_proxy(place: _Place, deadline: Deadline) -> bool:
    """Whether a name leads to a private address, as far as that can be seen from here."""
    try:
        name = place.host.encode("idna").decode().rstrip(".").lower()
    except UnicodeError as error:
        raise WebError("it names no server") from error
    *_, before, last = ["", *name.split(".")]
    is_figure = last[:1].isdecimal()  # no top-level domain begins so: it is an IPv4 address
    if ":" not in name and not is_figure and (not before or name.endswith(_LOCAL_NAMES)):
        return True
    try:
        found = _looked_up(name, place.port, deadline)
    except socket.gaierror:  # only the proxy knows it
        return is_figure
    return not all(is_public(each[4][0]) for each in found)
