"""GraphiQL, built from graphiql/ into this folder: the page under its content security policy, and its assets."""

import secrets
from functools import cache
from pathlib import Path

from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

FOLDER = Path(__file__).parent
ASSETS_PATH = "/graphiql-assets"
_NONCE_PLACE = "__CSP_NONCE__"

# style-src-attr: Monaco places every line of text by a style attribute in HTML that it generates, and an attribute can
# carry no nonce. Style elements and scripts need one, so injected markup can neither run nor restyle the page.
# 'strict-dynamic' carries the nonce's trust on to the modules that the entry imports.
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'nonce-{nonce}' 'strict-dynamic'",
        "style-src-elem 'self' 'nonce-{nonce}'",
        "style-src-attr 'unsafe-inline'",
        "connect-src 'self'",
        "worker-src 'self'",
        "font-src 'self'",
        "img-src 'self' data:",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "form-action 'none'",
    )
)
# A worker lives under the policy of its own file: it may load its modules and nothing else.
_ASSET_POLICY = "default-src 'none'; script-src 'self'; frame-ancestors 'none'"


@cache
def _template() -> str:
    return (FOLDER / "index.html").read_text(encoding="utf-8")


def page(_request: Request) -> Response:
    nonce = secrets.token_urlsafe(18)
    headers = {
        "Content-Security-Policy": _POLICY.format(nonce=nonce),
        "Cache-Control": "no-store",  # a nonce served twice would be no nonce
        "Referrer-Policy": "no-referrer",
        "Vary": "Accept",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }
    return HTMLResponse(_template().replace(_NONCE_PLACE, nonce), headers=headers)


class _HashedFiles(StaticFiles):
    """Files whose name changes with their content, so that a browser need never ask twice."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        if response.status_code in {200, 304}:
            response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        response.headers["Content-Security-Policy"] = _ASSET_POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


def static_routes() -> list[BaseRoute]:
    # Compressed per request, not in the repository: zlib versions differ in their output, and a browser asks only once.
    return [Mount(ASSETS_PATH, app=GZipMiddleware(_HashedFiles(directory=FOLDER / "static")), name="graphiql-assets")]
