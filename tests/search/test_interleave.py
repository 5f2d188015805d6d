from convatlas.search.interleave import bands, round_robin

ITEMS = [("a", 1000), ("a", 900), ("b", 800), ("a", 30), ("c", 31), ("b", 1), ("c", 2)]


def test_bands_are_equal_steps_of_the_logarithm():
    found = bands(ITEMS, lambda item: item[1])
    assert found == [ITEMS[:3], ITEMS[3:5], ITEMS[5:]]
    assert bands([("a", 5)], lambda item: item[1]) == [[("a", 5)]]
    assert bands([], lambda item: item[1]) == []


def test_bands_and_kinds_take_turns():
    order = round_robin(ITEMS, work=lambda i: i[1], capacity=lambda i: i[1], kind=lambda i: i[0])
    assert order == [
        ("a", 1000),
        ("c", 31),
        ("c", 2),
        ("b", 800),  # before the second "a", though that is more capable
        ("a", 30),
        ("b", 1),
        ("a", 900),
    ]
