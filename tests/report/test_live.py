"""The live page is served to this machine alone, and renews itself when a study has grown."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from symact.errors import InputError
from symact.program.loading import parse_grammar
from symact.report.live import LiveMap, server
from symact.store.running import read_running
from symact.study import Study
from tests.execute import stub_tasks
from tests.report.browser import Visit, chromium


@pytest.fixture
def study(tmp_path: Path):
    with Study(
        parse_grammar(stub_tasks.PAIRS).space(), stub_tasks.Quick(), "random", tmp_path / "run", confirm=0
    ) as made:
        made.run(10)
        yield made


@contextmanager
def serving(runs):
    """The port at which the live page of some run folders is served."""
    with server(runs) as found:
        thread = threading.Thread(target=found.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield found.server_address[1]
        found.shutdown()
        thread.join()


@pytest.fixture
def served(study):
    with serving([study.store.run]) as port:
        yield port


def answer(port: int, path: str, host: str = "", method: str = "GET") -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(method, path, headers={"Host": host or f"127.0.0.1:{port}"})
    found = connection.getresponse()
    text = found.read().decode()
    connection.close()
    return found.status, text


def test_it_is_served_to_this_machine_alone_and_nothing_else_is(served):
    status, text = answer(served, "/")
    assert status == 200
    assert "connect-src 'self'" in text
    assert answer(served, "/", "evil.example")[0] == 403
    assert answer(served, "/", f"evil.example:{served}")[0] == 403
    assert answer(served, "/../study.db")[0] == answer(served, "/study.db")[0] == 404
    assert answer(served, "/", method="POST")[0] == 501


def test_data_comes_when_the_study_has_grown(served, study):
    first = json.loads(answer(served, "/data.json")[1])
    assert first["studies"][0]["running"] is None
    assert answer(served, f"/data.json?since={first['stamp']}") == (200, '{"running": [null]}')
    study.run(13)
    status, text = answer(served, f"/data.json?since={first['stamp']}")
    assert status == 200
    assert json.loads(text)["studies"][0]["evaluated"] == 13


def test_an_open_page_renews_itself_and_keeps_what_was_chosen(served, study):
    with chromium() as browser:
        visit = Visit(browser, f"http://127.0.0.1:{served}/")
        visit.page.get_by_label("every origin").select_option("random")
        visit.page.get_by_role("button", name="search score").click()
        study.run(14)
        visit.page.locator("#news", has_text="14 of 14").wait_for()
        assert visit.page.get_by_label("every origin").input_value() == "random"
        assert visit.page.locator("th[aria-sort=descending]").count() == 1
        assert visit.complaints == []
        assert all(url.startswith(f"http://127.0.0.1:{served}/data.json") for url in visit.foreign())
        visit.close()


def test_a_page_shows_what_is_in_training_as_it_goes_on_until_the_search_is_killed(tmp_path):
    told = ["search", "random", "--task", stub_tasks.named("Long"), "--evaluations", "10", "--workers", "2"]
    arguments = [*told, "--run", "run"]
    search = subprocess.Popen([sys.executable, "-m", "symact", *arguments, "--quiet"], cwd=tmp_path)
    try:
        end = time.monotonic() + 120
        while [training.end for training in read_running(tmp_path / "run") or []] != [10_000, 10_000]:
            assert time.monotonic() < end
            time.sleep(0.1)
        with chromium() as browser, serving([tmp_path / "run"]) as port:
            visits = [Visit(browser, f"http://127.0.0.1:{port}/", width) for width in (1280, 400)]
            for visit in visits:
                far = visit.page.locator(".training tbody tr td:nth-child(2) > div:first-child").first
                before = far.inner_text()
                assert re.fullmatch(r"step \d+ of 10000", before)
                visit.page.evaluate("window.unchanged = document.querySelector('.hero, section')")
                visit.page.wait_for_function(
                    "before => !document.querySelector('.training').innerText.includes(before)", arg=before
                )
                assert visit.page.locator(".training canvas").count() == 1
                assert visit.page.evaluate("window.unchanged.isConnected"), "the rest of the page stays as it is"
                assert "running" in visit.page.locator("#news").inner_text()
                assert visit.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            search.kill()
            search.wait()
            for visit in visits:
                visit.page.locator("#news", has_text="the search is not running").wait_for()
                assert visit.page.locator(".training section").count() == 0
                assert visit.complaints == []
                visit.close()
    finally:
        search.kill()
        search.wait()


def test_a_port_that_is_taken_is_named(served, study):
    with pytest.raises(InputError, match=f"port {served} cannot be used"):
        server([study.store.run], served)


def test_places_on_a_live_map_stay_until_it_is_drawn_again(study):
    functions = [trial.candidate for trial in study.trials]
    live = LiveMap()
    first = live(functions[:8])
    again = live(functions[:9])
    assert (again[:8] == first).all() or (first != first).any()
    assert (again[8] != again[8]).all()
    assert live(functions + [f for f in functions if f not in functions]).shape == (len(functions), 2)
