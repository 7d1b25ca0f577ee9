"""Files of real work: each publisher's format, and errors that say where and what."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from scaler.sim.traces import TraceError, read_durations, read_rate, read_trace
from scaler.sim.workload import NO_SESSION

AZURE = """TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:17:05.0000000,4808,10
2023-11-16 18:17:03.9799600,3180,8
"""
BURST = """Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type
5,abc,12.5,ChatGPT,472,18,490,Conversation log
45,abc,0,GPT-4,1087,230,1317,Conversation log
118,,3,GPT-4,417,276,693,API log
"""
MOONCAKE = """{"timestamp": 27000, "input_length": 6755, "output_length": 500, "hash_ids": [0, 1]}
{"timestamp": 30000, "input_length": 7319, "output_length": 490, "hash_ids": [0]}
"""


def written(tmp_path: Path, text: str, name: str = "trace.csv") -> Path:
    """A file with this text."""
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    return file


def test_a_plain_trace_has_what_its_columns_say(tmp_path: Path) -> None:
    """Sorted by arrival, counted from the first one; names may be those of the published extracts."""
    trace = read_trace(written(tmp_path, "arrival_s,duration_s,output_tokens,session\n20,3,30,b\n10,2,20,\n15,1,5,a\n"))
    assert trace.arrived_at.tolist() == [0, 5, 10]
    assert trace.seconds is not None
    assert trace.tokens is not None
    assert trace.session is not None
    assert (trace.seconds.tolist(), trace.tokens.tolist()) == ([2, 1, 3], [20, 5, 30])
    assert trace.session.tolist()[0] == NO_SESSION
    assert len(set(trace.session.tolist())) == 3


def test_what_a_trace_does_not_say_is_absent(tmp_path: Path) -> None:
    """No duration is not a duration of zero."""
    trace = read_trace(written(tmp_path, "arrival_s\n1\n2\n"))
    assert (trace.seconds, trace.tokens, trace.session) == (None, None, None)


def test_azure_s_own_file_is_read(tmp_path: Path) -> None:
    """Dates with seven decimals of a second, in any order."""
    trace = read_trace(written(tmp_path, AZURE))
    assert trace.arrived_at.tolist() == pytest.approx([0.0, 1.02004], abs=1e-5)
    assert trace.tokens is not None
    assert trace.tokens.tolist() == [8, 10]


def test_dates_and_lengths_of_one_s_own_are_read(tmp_path: Path) -> None:
    """As most exports have them: under Azure's name for dates, with the plain names beside it."""
    dated = "TIMESTAMP,duration_s,session\n2026-01-01T00:00:09Z,7,a\n2026-01-01 00:00:05.5,30,a\n"
    trace = read_trace(written(tmp_path, dated))
    assert trace.seconds is not None
    assert trace.session is not None
    assert (trace.arrived_at.tolist(), trace.seconds.tolist(), trace.session.tolist()) == ([0, 3.5], [30, 7], [2, 2])


def test_burstgpt_s_own_file_is_read(tmp_path: Path) -> None:
    """Its sessions are names, and a row without one is a task by itself."""
    trace = read_trace(written(tmp_path, BURST))
    assert trace.seconds is not None
    assert trace.session is not None
    assert trace.arrived_at.tolist() == [0, 40, 113]
    assert trace.seconds.tolist() == [12.5, 0.001, 3]
    first, second, third = trace.session.tolist()
    assert first == second != third == NO_SESSION


def test_mooncake_s_own_file_is_read(tmp_path: Path) -> None:
    """JSON lines, arrivals in milliseconds."""
    trace = read_trace(written(tmp_path, MOONCAKE, "trace.jsonl"))
    assert trace.tokens is not None
    assert (trace.arrived_at.tolist(), trace.tokens.tolist()) == ([0, 3], [500, 490])


def test_a_compressed_file_is_read_as_it_is(tmp_path: Path) -> None:
    """Whatever it is called."""
    file = tmp_path / "trace"
    file.write_bytes(gzip.compress(b"arrival_s\n3\n4\n"))
    assert read_trace(file).arrived_at.tolist() == [0, 1]


def test_a_curve_is_points(tmp_path: Path) -> None:
    """Other columns do not matter."""
    file = written(tmp_path, "service,arrival_s,rate_per_min\ncode,0,10\ncode,60,20.5\n")
    assert read_rate(file) == ((0.0, 10.0), (60.0, 20.5))


def test_durations_are_of_tasks_that_ended(tmp_path: Path) -> None:
    """Where rows say whether they did, the others are left out."""
    file = written(tmp_path, "duration_s,ended,clean\n5,1,1\n6,0,1\n7,1,0\n8,1,1\n")
    assert read_durations(file).tolist() == [5, 8]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("arrival_s\nsoon\n", "trace.csv, line 2, arrival_s = 'soon': expected a number from 0 on"),
        ("arrival_s\n2026-01-01T00:00:05Z\n", "expected a number from 0 on; dates stand in a column TIMESTAMP"),
        ("arrival_s,duration_s\n1,2\n2,-3\n", "trace.csv, line 3, duration_s = '-3': expected a number from 0 on"),
        ("arrival_s\n1\nnan\n", "line 3, arrival_s = 'nan'"),
        ("TIMESTAMP,GeneratedTokens\nyesterday,3\n", "line 2, TIMESTAMP = 'yesterday': expected a date and time"),
        ("when,how\n1,2\n", "line 1: no column of arrivals among when, how; a trace has a column arrival_s"),
        ("arrival_s,tokens\n1\n", "line 2: 1 values for 2 columns"),
        ("arrival_s;duration_s\n1;2,5\n", "line 1: columns are parted by ';'; write commas, and points in numbers"),
        ("arrival_s\tduration_s\n1\t2\n", "line 1: columns are parted by '\\t'; write commas"),
        ("arrival_s,duration_s,duration_s\n1,2,3\n", "line 1: duration_s stands over two columns: leave one of them"),
        ('{"timestamp": 1}\n{"timestamp"\n', "line 2 is no JSON"),
        ('{"timestamp": 1}\n[1]\n', "line 2: expected one object"),
        ('[{"timestamp": 1}]\n', "line 1: expected one object"),
        (f'{{"timestamp": {"[" * 100_000}\n', "line 1 is no JSON"),
        ('{"timestamp": 1, "output_length": 5}\n\n{"timestamp": 2}\n', "line 3: no output_length; give it on every"),
        ("\n\n", "has no rows"),
        ("", "has no rows"),
        ("arrival_s\n", "has no rows"),
    ],
)
def test_an_error_says_where_and_what_was_expected(tmp_path: Path, text: str, said: str) -> None:
    """File, line and column."""
    with pytest.raises(TraceError, match=r"trace\.csv") as error:
        read_trace(written(tmp_path, text))
    assert said in str(error.value)


def test_a_file_that_is_none_says_so(tmp_path: Path) -> None:
    """Missing, or torn."""
    with pytest.raises(TraceError, match="cannot be read: No such file"):
        read_trace(tmp_path / "absent.csv")
    torn = tmp_path / "torn.gz"
    whole = gzip.compress(b"arrival_s\n" + b"1\n" * 1000)
    torn.write_bytes(whole[:30])
    with pytest.raises(TraceError, match="is cut off: its compressed text has no end; fetch it again"):
        read_trace(torn)
    for text in (whole[:12] + b"\xff\xff" + whole[14:], b"\xff\xfe\x00"):
        torn.write_bytes(text)
        with pytest.raises(TraceError, match="is no text"):
            read_trace(torn)


def test_a_curve_must_ascend_and_have_its_columns(tmp_path: Path) -> None:
    """Or nobody knows which rate holds."""
    with pytest.raises(TraceError, match=r"line 3, arrival_s = '5': expected more than the line before it has, 5"):
        read_rate(written(tmp_path, "arrival_s,rate_per_min\n5,1\n5,2\n"))
    with pytest.raises(TraceError, match="no column rate_per_min among arrival_s; add it"):
        read_rate(written(tmp_path, "arrival_s\n5\n"))
    with pytest.raises(TraceError, match="no duration_s above 0"):
        read_durations(written(tmp_path, "duration_s\n0\n"))
    with pytest.raises(TraceError, match="has one point, and a curve lies between two"):
        read_rate(written(tmp_path, "arrival_s,rate_per_min\n5,1\n"))


def test_lines_without_anything_are_no_rows(tmp_path: Path) -> None:
    """Before the header, among the rows and at the end; and an error still names its line."""
    text = "\n\narrival_s,duration_s\n\n1,2\n  \n4,3\n\n"
    trace = read_trace(written(tmp_path, text))
    assert trace.seconds is not None
    assert (trace.arrived_at.tolist(), trace.seconds.tolist()) == ([0, 3], [2, 3])
    with pytest.raises(TraceError, match="line 9, arrival_s = 'soon'"):
        read_trace(written(tmp_path, f"{text}soon,1\n"))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_as_they_do_anywhere(tmp_path: Path, end: str) -> None:
    """Also as spreadsheets of old wrote them."""
    file = tmp_path / "trace.csv"
    file.write_bytes(end.join(("arrival_s,duration_s", "1,2", "4,3", "")).encode())
    assert read_trace(file).arrived_at.tolist() == [0, 3]


def test_a_plain_name_is_read_and_not_another_for_it(tmp_path: Path) -> None:
    """Where a file has both, in any order; and columns without a name are nobody's."""
    for header, row in (("arrival_s,tokens,output_tokens,,", "1,5,7,,"), ("output_tokens,,tokens,arrival_s", "7,,5,1")):
        trace = read_trace(written(tmp_path, f"{header}\n{row}\n"))
        assert trace.tokens is not None
        assert trace.tokens.tolist() == [5]
