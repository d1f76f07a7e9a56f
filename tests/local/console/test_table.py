"""Bounded tables, and what an onlooker is told of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from local.console.table import Table
from tests.cases import randomly

CAPACITY = 5
KEYS = st.sampled_from([f"key-{number}" for number in range(12)])
ACTIONS = st.lists(st.tuples(st.sampled_from(["put", "touch", "drop", "look"]), KEYS))


def silent() -> None:
    """Nobody need be told."""


@randomly
@given(ACTIONS)
def test_an_onlooker_has_what_the_table_has(actions: list[tuple[str, str]]) -> None:
    """Whenever it looks, changes and departures together make its copy the table's own."""
    table: Table[list[object]] = Table(CAPACITY, silent)
    watch = table.watch()
    copy: dict[object, list[object]] = {}

    def look() -> None:
        changed, gone = table.take(watch)
        copy.update({row[0]: list(row) for row in changed})
        for key in gone:
            del copy[key]  # whoever is told so has seen it
        assert copy == {row[0]: row for row in table}

    for number, (action, key) in enumerate(actions):
        row = table.get(key)
        if action == "put":
            table.put(key, [key, number])
        elif action == "touch" and row is not None:
            row[1] = number
            table.touch(key)
        elif action == "drop":
            table.drop(key)
        elif action == "look":
            look()
    look()


def test_the_oldest_leave() -> None:
    """A row that is put again is the newest; beyond the capacity the oldest go."""
    table: Table[int] = Table(2, silent)
    for key, row in (("a", 1), ("b", 2), ("a", 3), ("c", 4)):
        table.put(key, row)

    assert list(table) == [3, 4]
    assert table.get("b") is None
    assert len(table) == 2


def test_an_onlooker_who_does_not_look_costs_no_more_than_the_table() -> None:
    """However much comes and goes meanwhile, its memory is bounded by the table's."""
    table: Table[int] = Table(CAPACITY, silent)
    for number in range(CAPACITY):
        table.put(f"seen-{number}", number)
    watch = table.watch()
    table.take(watch)

    for number in range(10_000):
        table.put(f"later-{number}", number)

    assert len(watch.changed) == CAPACITY
    assert watch.gone == {f"seen-{number}" for number in range(CAPACITY)}
    changed, gone = table.take(watch)
    assert sorted(changed) == list(range(10_000 - CAPACITY, 10_000))
    assert len(gone) == CAPACITY
    assert len(watch.seen) == CAPACITY


def test_every_change_is_told() -> None:
    """Whoever waits for changes hears of a new row, a changed one, and one that goes; once each."""
    told: list[int] = []
    table: Table[int] = Table(CAPACITY, lambda: told.append(len(told)))

    table.put("a", 1)
    table.touch("a")
    table.drop("a")
    table.drop("a")

    assert len(told) == 3
