"""Pipes between the study, supervisors and workers: nobody waits for a reader, and no result goes into another file."""

from __future__ import annotations

import os

import pytest

from symact.execute.channel import ChannelLostError, GuardedPipe, Reader, Writer


def test_a_pipe_is_used_while_it_is_that_pipe_and_no_longer(tmp_path):
    reading, writing = os.pipe()
    pipe = GuardedPipe(writing)
    number = pipe.check()
    assert number > 200
    pipe.write("a line")
    assert os.read(reading, 100) == b"a line\n"
    with open(tmp_path / "own", "w+b") as own:
        os.dup2(own.fileno(), number)
        with pytest.raises(ChannelLostError, match="reused"):
            pipe.write("a result")
        os.close(number)
        with pytest.raises(ChannelLostError, match="closed"):
            pipe.write("a result")
        assert own.read() == b""
    os.close(reading)


def test_writing_does_not_wait_for_a_reader_that_does_not_read():
    reading, writing = os.pipe()
    writer, reader, text = Writer(writing), Reader(reading), "x" * 3_000_000
    writer.send(text)
    writer.send("end")
    lines = []
    while len(lines) < 2:
        lines += reader.read()
        writer.flush()
    assert lines == [text, "end"]
    os.close(reading)
    writer.send("to nobody")
    assert writer.lost
    os.close(writing)
