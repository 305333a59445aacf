import pytest

from cloud_sync.wire import topics
from cloud_sync.wire.errors import LinkError
from cloud_sync.wire.topics import Topic

NO_STATIONS = [
    pytest.param("", id="empty"),
    pytest.param("-press", id="leading dash"),
    pytest.param("Press", id="upper case"),
    pytest.param("a" * 64, id="too long"),
    pytest.param("a/b", id="two levels"),
    pytest.param("+", id="wildcard"),
    pytest.param("press\n", id="line end"),
    pytest.param("größe", id="not ascii"),
]


@pytest.mark.parametrize("station", ["a", "0", "press-3", "a" * 63])
def test_a_topic_that_is_built_can_be_parsed(station: str) -> None:
    assert topics.parse(topics.inspections(station)) == Topic(station, "up", "inspections")
    assert topics.parse(topics.state(station)) == Topic(station, "up", "state")
    assert topics.parse(topics.ack(station)) == Topic(station, "down", "ack")


def test_topics_are_those_of_the_design() -> None:
    assert topics.inspections("s1") == "inspectd/v1/s1/up/inspections"
    assert topics.state("s1") == "inspectd/v1/s1/up/state"
    assert topics.ack("s1") == "inspectd/v1/s1/down/ack"


@pytest.mark.parametrize("station", NO_STATIONS)
def test_a_bad_station_id_gets_no_topic(station: str) -> None:
    with pytest.raises(LinkError, match="station id"):
        topics.inspections(station)


@pytest.mark.parametrize(
    "topic",
    [
        pytest.param("", id="empty"),
        pytest.param("inspectd/v2/s1/up/inspections", id="other version"),
        pytest.param("inspectd/v1/s1/sideways/x", id="neither up nor down"),
        pytest.param("inspectd/v1/S1/up/x", id="bad station"),
        pytest.param("inspectd/v1/s1/up/", id="no subject"),
        pytest.param("inspectd/v1/s1/up/x\n", id="line end"),
        pytest.param("x/inspectd/v1/s1/up/x", id="prefixed"),
    ],
)
def test_a_foreign_topic_is_refused(topic: str) -> None:
    with pytest.raises(LinkError, match="expected a topic"):
        topics.parse(topic)


def test_subjects_may_have_levels() -> None:
    assert topics.parse("inspectd/v1/s1/up/file/7f/init").subject == "file/7f/init"
