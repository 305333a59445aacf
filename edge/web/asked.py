"""What somebody asks of the history, as it stands in an address."""

import re
from datetime import UTC, datetime
from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import Path as InPath
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from cloud_sync.wire.records import SEQ_LIMIT
from edge.record.search import NEWEST, Search

_MODEL = re.compile(r"(?P<id>.*?)(?: v(?P<version>\d{1,9}))?")
Seq = Annotated[int, InPath(ge=1, le=SEQ_LIMIT)]


def _check_moment(text: str) -> str:
    if text:
        datetime.fromisoformat(text)
    return text


Text = Annotated[str, Field(max_length=128)]
Moment = Annotated[str, Field(pattern=r"^(20\d\d-\d\d-\d\dT\d\d:\d\d(:\d\d)?)?$"), AfterValidator(_check_moment)]


class Asked(BaseModel):
    """A search as its form sends it: times are of the station's clock, what is empty does not matter."""

    model_config = ConfigDict(frozen=True)

    since: Moment = ""
    until: Moment = ""
    part: Text = ""
    verdict: Literal["", "PASS", "REJECT", "UNDECIDED"] = ""
    label: Text = ""
    camera: Text = ""
    model: Text = ""
    product: Text = ""
    outcome: Literal["", "told", "late", "unconfirmed", "open"] = ""
    word: Literal["", "given", "wrong", "none"] = ""
    before: Annotated[int, Field(ge=1, le=NEWEST)] = NEWEST

    def search(self) -> Search:
        """What is looked for."""
        model = _MODEL.fullmatch(self.model.strip())
        version = model["version"] if model else None
        return Search(
            since=_utc(self.since),
            until=_utc(self.until),
            part=self.part.strip(),
            verdict=self.verdict,
            label=self.label.strip(),
            camera=self.camera.strip(),
            model=(model["id"] if model else self.model).strip(),
            version=int(version) if version else None,
            product=self.product.strip(),
            outcome=self.outcome,
            word=self.word,
        )

    def address(self, path: str, before: int | None = None) -> str:
        """The address of the same search at another page, from a number on."""
        asked = {name: value for name, value in self.model_dump(exclude={"before"}).items() if value}
        more = {} if before is None else {"before": before}
        return f"{path}?{urlencode(asked | more)}" if asked or more else path


def _utc(text: str) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(UTC) if text else None
