"""Guard: what every request passes before anything else looks at it, and what every answer carries.

The threats: pages of other sites open in the same browser (forged requests, DNS rebinding, framing, inclusion of our
answers as scripts), people on the same network (a token is asked for beyond loopback), and requests made to exhaust
memory. Runs are data: names and reasons in them may be hostile, so no page may run inline scripts.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from archip.dashboard.plotly_js import style_hashes
from archip.dashboard.settings import Settings

__all__ = ["MOST_BODY", "Guard", "csrf_token"]

MOST_BODY = 64 * 1024  # bytes; a problem file of a page's form is the largest thing that anyone sends
_BODY_S = 10.0
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src {styles}; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cache-control": "no-store",
}


class Guard:
    """Wraps the application; refuses with a status and one line of text, never with a traceback."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app, self.settings = app, settings
        self._cookie = f"archip_{settings.port}"  # cookies do not know ports, and there may be several dashboards

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, _with_headers(send))
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        refusal = self._foreign(scope, headers) or self._forged(scope, headers)
        known = self._session(headers)
        is_let_in = self.settings.token is None or known is not None
        if refusal is None and not is_let_in and not self._shows_token(headers, _query(scope).get("token", "")):
            refusal = _refused(401, "open the address with the token that archip serve printed")
        if refusal is None and scope["method"] == "POST":
            body = await _body(headers, receive)
            if body is None:
                refusal = _refused(413, f"the body has more than {MOST_BODY:,} bytes, or came too slowly")
            else:
                receive = _replay(body, receive)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        session = known or self._new_session()
        scope.setdefault("state", {})["session"] = session
        if known is None:
            send = _with_cookie(send, self._cookie, session, scope["scheme"] == "https")
        if scope["method"] == "GET" and "token" in _query(scope):  # not to stay in the history or in a copied address
            await RedirectResponse(_without_token(scope), 303)(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _foreign(self, scope: Scope, headers: Headers) -> Response | None:
        """Refuses other names than our own, and methods that nothing here has."""
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self.settings.is_own_name(_name(hosts[0])):
            return _refused(421, "this server is not known by that name (archip serve --name NAME)")
        if scope["method"] not in ("GET", "HEAD", "POST"):
            return _refused(405, "GET or POST")
        return None

    def _forged(self, scope: Scope, headers: Headers) -> Response | None:
        """Refuses what pages of other origins make a browser send; following a link to a page is fine."""
        site, origin = headers.get("sec-fetch-site", ""), headers.get("origin")
        is_ours = site in ("", "same-origin", "none")
        if scope["method"] == "POST":
            if not is_ours or (origin is not None and origin.partition("://")[2] != headers["host"]):
                return _refused(403, "the request came from a page of another site")
        elif not is_ours and headers.get("sec-fetch-mode") != "navigate":
            return _refused(403, "the request came from a page of another site")
        return None

    def _shows_token(self, headers: Headers, in_query: str) -> bool:
        """Whether the request has the token, in its address or as ``Authorization: Bearer``; in constant time."""
        wanted = str(self.settings.token).encode()
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        shown = [hmac.compare_digest(given.encode(), wanted) for given in (in_query, bearer)]
        return any(shown)

    def _new_session(self) -> str:
        number = secrets.token_urlsafe(24)
        return f"{number}.{_signed(self.settings, 'session', number)}"

    def _session(self, headers: Headers) -> str | None:
        """The session of the request's cookie, if this process signed it."""
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(self._cookie)
        except CookieError:
            return None
        number, _, signature = ("" if cookie is None else cookie.value).partition(".")
        right = _signed(self.settings, "session", number)
        return f"{number}.{right}" if hmac.compare_digest(signature.encode(), right.encode()) else None


def csrf_token(settings: Settings, session: str) -> str:
    """What a form of this session has to carry."""
    return _signed(settings, "form", session)


def _signed(settings: Settings, purpose: str, text: str) -> str:
    return hmac.new(settings.secret, f"{purpose}:{text}".encode(), hashlib.sha256).hexdigest()


def _refused(status: int, text: str) -> Response:
    return PlainTextResponse(text + "\n", status)


def _name(host: str) -> str:
    """The name in a Host header, without port and brackets."""
    name = host[1:].partition("]")[0] if host.startswith("[") else host.rpartition(":")[0] or host
    return name.lower()


def _query(scope: Scope) -> dict[str, str]:
    return dict(parse_qsl(scope["query_string"].decode("latin-1")))


def _without_token(scope: Scope) -> str:
    rest = [(k, v) for k, v in parse_qsl(scope["query_string"].decode("latin-1")) if k != "token"]
    path = "/" + scope["path"].lstrip("/")  # two slashes would name another server
    return path + ("?" + urlencode(rest) if rest else "")


async def _body(headers: Headers, receive: Receive) -> bytes | None:
    """The whole body; None where it is too large or takes too long."""
    if int(headers.get("content-length", "0")) > MOST_BODY:
        return None
    body = b""
    try:
        async with asyncio.timeout(_BODY_S):
            while True:
                message = await receive()
                body += message.get("body", b"")
                if len(body) > MOST_BODY or message["type"] != "http.request":
                    return None
                if not message.get("more_body"):
                    return body
    except TimeoutError:
        return None


def _replay(body: bytes, receive: Receive) -> Receive:
    """The body once more, then whatever comes after it (a disconnect)."""
    left: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return left.pop() if left else await receive()

    return again


def _with_headers(send: Send) -> Send:
    """Our headers where the answer does not set its own."""
    policy = _POLICY.format(styles=" ".join(["'self'", *style_hashes()]))

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in [*_HEADERS.items(), ("content-security-policy", policy)]:
                headers.setdefault(name, value)
        await send(message)

    return sending


def _with_cookie(send: Send, name: str, session: str, is_secure: bool) -> Send:
    flags = "; HttpOnly; SameSite=Strict; Path=/" + ("; Secure" if is_secure else "")

    async def sending(message: Any) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).append("set-cookie", f"{name}={session}{flags}")
        await send(message)

    return sending
