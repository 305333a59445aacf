"""Whether a schema still means what a released one said, to an old reader and to an old writer."""

from collections.abc import Iterator

_NOTES = {"$schema", "description", "title", "default", "examples", "$comment", "$defs"}


def breaks(released: dict[str, object], today: dict[str, object]) -> list[str]:
    """Each place where something other than a new optional member was changed; [] if nothing was."""
    return list(_differences(released, today, released, today, "record"))


def _differences(old: object, new: object, old_root: object, new_root: object, where: str) -> Iterator[str]:
    old, new = _resolved(old, old_root), _resolved(new, new_root)
    if isinstance(old, dict) and isinstance(new, dict):
        yield from _in_members(old, new, old_root, new_root, where)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for number, (was, is_now) in enumerate(zip(old, new, strict=True)):
            yield from _differences(was, is_now, old_root, new_root, f"{where}[{number}]")
    elif old != new:
        yield f"{where} was {old}, is {new}"


def _in_members(
    old: dict[str, object], new: dict[str, object], old_root: object, new_root: object, where: str
) -> Iterator[str]:
    for name in (old.keys() | new.keys()) - _NOTES:
        was, is_now = old.get(name), new.get(name)
        if name == "properties" and isinstance(was, dict) and isinstance(is_now, dict):
            yield from (f"{where}.{gone} was removed" for gone in was.keys() - is_now.keys())
            for member in was.keys() & is_now.keys():
                yield from _differences(was[member], is_now[member], old_root, new_root, f"{where}.{member}")
        elif name == "required":
            if set(_listed(was)) != set(_listed(is_now)):
                yield f"{where} required {was}, requires {is_now}"
        elif (name, was, is_now) != ("additionalProperties", False, None):  # the ban on unknown members was lifted
            yield from _differences(was, is_now, old_root, new_root, f"{where} {name}")


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _resolved(schema: object, root: object) -> object:
    if isinstance(schema, dict) and isinstance(schema.get("$ref"), str) and schema["$ref"].startswith("#/"):
        found = root
        for step in schema["$ref"].removeprefix("#/").split("/"):
            assert isinstance(found, dict)
            found = found[step]
        return found
    return schema
