from transferhub.engine.pace import Pace


class Times:
    """Passes at a rate that is told, and is busy for a part of it."""

    def __init__(self, most: int = 32) -> None:
        self.passed = 0.0
        self.worked = 0.0
        self.pace = Pace(most, clock=lambda: self.passed, busy=lambda: self.worked)

    def pages(self, count: int, *, every: float, busy: float) -> int:
        """The ranges that are wanted after so many pages, each of which took `every` seconds, of
        which the thread was busy for `busy`."""
        for _ in range(count):
            self.passed += every
            self.worked += busy
            self.pace.note_page()
        return self.pace.ranges


def test_nothing_is_known_before_the_first_page() -> None:
    assert Times().pace.ranges == 0


def test_near_servers_are_listed_in_few_ranges() -> None:
    assert Times().pages(1, every=0.008, busy=0.006) == 4


def test_far_servers_are_listed_in_as_many_ranges_as_there_are_listers() -> None:
    assert Times(most=32).pages(1, every=0.11, busy=0.008) == 32
    assert Times(most=7).pages(1, every=0.11, busy=0.008) == 7


def test_between_them_the_wait_decides() -> None:
    assert Times().pages(1, every=0.030, busy=0.010) == 8


def test_a_clock_too_coarse_to_see_the_work_means_far() -> None:
    assert Times().pages(1, every=0.01, busy=0.0) == 32


def test_a_thread_that_is_busy_gets_no_more_ranges() -> None:
    times = Times()
    assert times.pages(1, every=0.008, busy=0.006) == 4
    assert times.pages(10_000, every=0.002, busy=0.0019) == 4


def test_a_thread_that_idles_gets_more_as_long_as_they_help() -> None:
    times = Times()
    assert times.pages(1, every=0.008, busy=0.006) == 4
    assert times.pages(20, every=0.050, busy=0.004) == 8
    assert times.pages(40, every=0.025, busy=0.004) == 16
    assert times.pages(10_000, every=0.024, busy=0.004) == 16
