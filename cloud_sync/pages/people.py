"""Who may look at the pages, and what they may do there."""

import re
from dataclasses import dataclass
from enum import StrEnum

from cloud_sync.pages.errors import PagesError

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
LANGUAGES = ("en", "zh")
THEMES = ("auto", "light", "dark")


class Role(StrEnum):
    """What a person may do; each may do what those before may."""

    OPERATOR = "operator"
    ENGINEER = "engineer"
    ADMIN = "admin"

    def covers(self, needed: "Role") -> bool:
        """Whether this role may do what takes `needed`."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True, slots=True)
class Person:
    """One who may log in; `language` is empty until they chose one."""

    name: str
    role: Role
    language: str = ""
    theme: str = "auto"
    created_at: str = ""


@dataclass(frozen=True, slots=True)
class Session:
    """A person who is logged in, and the token that their forms carry."""

    person: Person
    csrf: str


def check_name(name: str) -> str:
    """The name, if it can be one. Raises PagesError."""
    if not NAME.fullmatch(name):
        raise PagesError(f"a user's name is 1 to 63 of a-z 0-9 . _ -, beginning with a letter or digit: got {name!r}")
    return name
