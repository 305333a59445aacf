"""What changes something is written down before it is done, and how it ended after it.

    @router.post("/users/{name}/role")
    @noted("user role", "{name} as {role}")
    def change_role(request: Request, session: Admin, name: str, role: Annotated[Role, Form()]) -> Response: ...

- Where the disk does not take what is asked for, nothing is done.
- Where it does not take the outcome, or the process ends first, the act stays open, and whoever reads sees that.
- What is sent while it is made, as an export, has its outcome once all of it was sent; see `Sending`.
- A route that changes something says `noted`, or `unnoted` and why: the application takes no other.
"""

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar, cast

from fastapi import APIRouter
from fastapi.concurrency import contextmanager_in_threadpool
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from cloud_sync.pages.audit import OK, Act, noting
from cloud_sync.pages.people import Session
from cloud_sync.pages.sending import Sending
from cloud_sync.pages.site import address_of, rooms

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
Text = str | Callable[[Mapping[str, Any]], str]
P = ParamSpec("P")
R = TypeVar("R")
_NOTED, _UNNOTED = "noted", "unnoted"
_REFUSED = 400


def noted(action: Text, subject: Text = "") -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Have every call of a route noted, before and after. The route may raise NotNotedError then.

    Args:
        action: the word, as `user role`.
        subject: what it is done to, of the route's parameters: "{name} as {role}". Either may be a function of them.
    """

    def around(route: Callable[P, R]) -> Callable[P, R]:
        if inspect.iscoroutinefunction(route):

            @functools.wraps(route)
            async def wrapped(*args: P.args, **given: P.kwargs) -> object:
                async with contextmanager_in_threadpool(_asked(action, subject, given)) as act:
                    return _seen(given, act, await route(*args, **given))
        else:

            @functools.wraps(route)
            def wrapped(*args: P.args, **given: P.kwargs) -> object:
                with _asked(action, subject, given) as act:
                    return _seen(given, act, route(*args, **given))

        vars(wrapped)[_NOTED] = True
        return cast("Callable[P, R]", wrapped)

    return around


def unnoted(why: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A route that changes something and writes nothing into the audit log; `why` is for whoever reads its code."""

    def as_it_is(route: Callable[P, R]) -> Callable[P, R]:
        vars(route)[_UNNOTED] = why
        return route

    return as_it_is


def check_noted(routers: Iterable[APIRouter]) -> None:
    """Every route that changes something says `noted` or `unnoted`. Raises TypeError."""
    for route in (each for router in routers for each in router.routes if isinstance(each, APIRoute)):
        if not is_noted(route) and not unnoted_why(route) and (route.methods or set()) - SAFE:
            raise TypeError(f"{route.path} changes something: put @noted(...) or @unnoted(...) under its @router.post")


def is_noted(route: APIRoute) -> bool:
    """Whether its calls are noted."""
    return _NOTED in vars(route.endpoint)


def unnoted_why(route: APIRoute) -> str:
    """Why its calls are not; "" where nothing is said of that."""
    return str(vars(route.endpoint).get(_UNNOTED, ""))


@contextmanager
def noting_request(request: Request, session: Session, action: str, subject: str) -> Iterator[Act]:
    """As `noting`, for somebody who asks by a page."""
    who = session.person.name, session.person.role.value
    with noting(rooms(request).audit, who, address_of(request), action, subject) as act:
        request.state.act = act
        yield act


def turned_out(request: Request, outcome: str = OK, subject: str = "") -> None:
    """What a noted route knows of its act by now. See `Act`."""
    act: Act = request.state.act
    act.outcome, act.subject = outcome, subject


def _asked(action: Text, subject: Text, given: Mapping[str, Any]) -> Any:  # noqa: ANN401 - a context manager of Act
    words = (_said(action, given), _said(subject, given))
    return noting_request(given["request"], given["session"], *words)


def _said(text: Text, given: Mapping[str, Any]) -> str:
    return text.format(**given).strip() if isinstance(text, str) else text(given)


def _seen(given: Mapping[str, Any], act: Act, answer: object) -> object:
    """An answer that says no is no good outcome, and one that is still to be made has none yet."""
    if isinstance(answer, StreamingResponse):
        act.goes_on = True
        return Sending(answer, act, rooms(given["request"]).audit)
    if isinstance(answer, Response) and answer.status_code >= _REFUSED and act.outcome == OK:
        act.outcome = f"answered {answer.status_code}"
    return answer
