"""One word for many: the slow get the newest."""

import asyncio

from edge.web.broadcast import Broadcast


def test_who_is_slow_gets_the_newest_and_nothing_that_was_missed() -> None:
    async def follow() -> list[str]:
        broadcast = Broadcast()
        stream = broadcast.follow()
        first = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        broadcast.publish("1")
        got = [await first]
        for text in "2345":
            broadcast.publish(text)
        got.append(await anext(stream))
        assert broadcast.viewers == 1
        await stream.aclose()
        assert broadcast.viewers == 0
        return got

    assert asyncio.run(follow()) == ["1", "5"]


def test_all_who_follow_hear_it() -> None:
    async def follow() -> list[str]:
        came: list[str] = []
        broadcast = Broadcast(lambda: came.append("somebody"))
        streams = [broadcast.follow() for _ in range(3)]
        waiting = [asyncio.ensure_future(anext(stream)) for stream in streams]
        await asyncio.sleep(0)
        broadcast.publish("now")
        got = await asyncio.gather(*waiting)
        for stream in streams:
            await stream.aclose()
        return [*came, *got]

    assert asyncio.run(follow()) == ["somebody"] * 3 + ["now"] * 3
