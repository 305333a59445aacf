"""Templates to pages: the words in the reader's language, the frame, the files by name and content."""

import hashlib
from collections.abc import Callable
from datetime import datetime
from functools import cache, partial
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse

from cloud_sync.pages.guard import session_of
from cloud_sync.pages.people import Person, Role
from cloud_sync.pages.site import Rooms, Site, rooms
from cloud_sync.pages.words import choose_language

_FOLDER = Path(__file__).parent
STATIC = _FOLDER / "static"


def make_environment(site: Site) -> Environment:
    """The site's templates over the shared ones; a name that is not given is an error, not an empty place."""
    environment = Environment(
        loader=FileSystemLoader([site.folder / "templates", _FOLDER / "templates"]),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["moment"] = moment
    environment.globals["asset"] = partial(_asset, site.folder)
    return environment


def show(request: Request, template: str, status: int = 200, **values: object) -> HTMLResponse:
    """A template as an answer.

    In every template: `t(key, **values)` says a text, `person` and `csrf` are of the session (None, "" without one),
    `site`, `menu` (the items that the person may see), `path`, `language`.
    """
    here = rooms(request)
    session = session_of(request)
    person = None if session is None else session.person
    language = speak(request, person)
    given: dict[str, object] = {
        "t": partial(here.words.say, language),
        "site": here.site,
        "person": person,
        "csrf": "" if session is None else session.csrf,
        "menu": [] if person is None else [item for item in here.site.menu if person.role.covers(item.role)],
        "path": request.url.path,
        "language": language,
        "theme": "auto" if person is None else person.theme,
        "may": partial(_may, person),
    }
    environment: Environment = request.app.state.templates
    return HTMLResponse(environment.get_template(template).render(given | values), status)


def say(request: Request) -> Callable[..., str]:
    """What says a key's text in the language of who asks."""
    session = session_of(request)
    here: Rooms = rooms(request)
    return partial(here.words.say, speak(request, None if session is None else session.person))


def speak(request: Request, person: Person | None) -> str:
    """The language of who asks."""
    preferred = "" if person is None else person.language
    return choose_language(preferred, request.headers.get("accept-language", ""))


def moment(at: datetime | str) -> Markup:
    """A moment in the clock of where the pages are served, machine-readable beside it."""
    when = datetime.fromisoformat(at) if isinstance(at, str) else at
    text = when.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    return Markup('<time datetime="{}">{}</time>').format(when.isoformat(), text)


def _may(person: Person | None, role: str) -> bool:
    return person is not None and person.role.covers(Role(role))


@cache
def _asset(folder: Path, name: str) -> str:
    """The address of a file in static/, the shared one or with `own/` the site's; another content, another address."""
    path = folder / "static" / name.removeprefix("own/") if name.startswith("own/") else STATIC / name
    return f"/static/{name}?{hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"
