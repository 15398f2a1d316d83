"""What is in training is told in a small file, which is believed only while somebody has the right to write."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from symact.store.lock import RUNNING, RunLock, is_in_use
from symact.store.running import MOST_POINTS, Running, read_running, write_running

TRAINING = Running("sin(x)", "search", 3, 1, 0.5, "rate = 0.1", 10.0, 12.5, 20, ((1, 0.25), (2, -0.5)), ((1, 0.1),))


def test_what_is_written_is_read_while_somebody_writes_and_goes_with_the_right_to_write(tmp_path: Path) -> None:
    lock = RunLock(tmp_path)
    assert read_running(tmp_path) == []
    write_running(tmp_path, [TRAINING])
    assert read_running(tmp_path) == [TRAINING]
    lock.release()
    assert read_running(tmp_path) is None
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


def test_what_a_killed_process_has_left_is_not_shown_and_the_next_writer_removes_it(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom symact.store.lock import RunLock\n"
        "from symact.store.running import Running, write_running\n"
        "run = Path(sys.argv[1]); lock = RunLock(run)\n"
        "write_running(run, [Running('sin(x)')]); print('ready', flush=True); time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert read_running(tmp_path) == [Running("sin(x)")]
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert (tmp_path / RUNNING).exists()
    assert read_running(tmp_path) is None
    lock = RunLock(tmp_path)
    assert read_running(tmp_path) == []
    lock.release()


def test_who_asks_keeps_nobody_out(tmp_path: Path) -> None:
    RunLock(tmp_path).release()
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            is_in_use(tmp_path)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for _ in range(200):
            RunLock(tmp_path).release()
    finally:
        over.set()
        asking.join()


def test_there_is_nothing_to_ask_where_there_is_no_folder(tmp_path: Path) -> None:
    assert read_running(tmp_path / "none") is None
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"trainings": 1}',
        '{"trainings": [{}]}',
        '{"trainings": ["x"]}',
        "[" * 10_000,
        json.dumps({"trainings": [TRAINING.document() | {"curve": [[1, "nan"]]}]}),
        json.dumps({"trainings": [TRAINING.document() | {"began": 1e999}]}),
        " " * 4_000_001,
    ],
)
def test_a_file_that_says_something_else_is_not_believed(tmp_path: Path, text: str) -> None:
    lock = RunLock(tmp_path)
    (tmp_path / RUNNING).write_text(text)
    assert read_running(tmp_path) == []
    lock.release()


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    lock = RunLock(tmp_path)
    elsewhere = tmp_path / "elsewhere.json"
    elsewhere.write_text(json.dumps({"trainings": [TRAINING.document()]}))
    (tmp_path / RUNNING).symlink_to(elsewhere)
    assert read_running(tmp_path) == []
    lock.release()
    assert elsewhere.exists()


def test_a_long_curve_is_thinned_and_keeps_its_ends(tmp_path: Path) -> None:
    lock = RunLock(tmp_path)
    write_running(tmp_path, [Running("x", curve=tuple((step, step / 7) for step in range(1000)))])
    found = read_running(tmp_path)
    assert found is not None
    curve = found[0].curve
    assert len(curve) == MOST_POINTS
    assert (curve[0][0], curve[-1][0]) == (0, 999)
    lock.release()


def test_a_folder_that_cannot_be_written_disturbs_nobody(tmp_path: Path) -> None:
    write_running(tmp_path / "none", [TRAINING])
    assert list(tmp_path.iterdir()) == []
