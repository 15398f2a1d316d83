"""The live page is served to this machine alone, and renews itself when a study has grown."""

from __future__ import annotations

import http.client
import json
import threading
from pathlib import Path

import pytest

from symact.errors import InputError
from symact.program.loading import parse_grammar
from symact.report.live import LiveMap, server
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


@pytest.fixture
def served(study):
    with server([study.store.run]) as serving:
        thread = threading.Thread(target=serving.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield serving.server_address[1]
        serving.shutdown()
        thread.join()


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
    assert answer(served, f"/data.json?since={first['stamp']}")[0] == 204
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
