"""What a command writes while it works."""

import io

from sms_engagement_runtime.commands.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def advance(stream, total, times):
    with Progress("reading", total, stream=stream) as progress:
        for _ in range(times):
            progress.advance()
    return stream.getvalue()


def test_on_a_terminal_it_is_a_bar_in_one_line():
    told = advance(Terminal(), 4, 4)

    assert told.startswith("\rreading: [                              ]   0%\r")
    assert told.endswith("\rreading: [##############################] 100%\n")
    assert told.count("\n") == 1


def test_a_million_steps_redraw_a_bar_a_hundred_times():
    assert advance(Terminal(), 100_000, 100_000).count("\r") == 101


def test_elsewhere_it_is_a_line_for_each_tenth():
    assert advance(io.StringIO(), 1000, 1000).splitlines() == [f"reading: {n:3}%" for n in range(0, 101, 10)]


def test_without_an_end_it_counts_and_tells_ever_less_often():
    assert advance(io.StringIO(), 0, 5000).splitlines()[-2:] == ["reading: 2,048", "reading: 4,096"]


def test_more_than_all_is_all():
    assert advance(io.StringIO(), 2, 9).splitlines()[-1] == "reading: 100%"
