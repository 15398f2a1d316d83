"""Time and size of a page of many trials, and of its frames in a browser.

    python runs/page_speed/measure.py RUN [--repeats 3]

RUN is a run folder, for instance the one of README.md. Writes results.json beside itself. A page is made in a fresh
process each time; what counts is its CPU time, for a busy machine stretches the clock. A frame is the time between two
`requestAnimationFrame` of headless Chromium while it scrolls, sorts, filters, or points at the map; beside it stands
the CPU time of the page's main thread per frame, which others on the machine do not stretch as much.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
WIDTHS = (1280, 390)
FRAMES = """
() => {
  window.frames_seen = []; window.watching = true;
  let last = performance.now();
  const next = (now) => {
    window.frames_seen.push(now - last);
    last = now;
    if (window.watching) requestAnimationFrame(next);
  };
  requestAnimationFrame((now) => { last = now; requestAnimationFrame(next); });
}
"""


def spread(values: list[float]) -> dict[str, float]:
    """Median, quartiles and extremes."""
    ordered = sorted(values)
    at = lambda share: ordered[min(len(ordered) - 1, int(share * len(ordered)))]
    return {
        "n": len(ordered),
        "median": round(statistics.median(ordered), 2),
        "quarter": round(at(0.25), 2),
        "three_quarters": round(at(0.75), 2),
        "p95": round(at(0.95), 2),
        "worst": round(ordered[-1], 2),
        "over_50": sum(value > 50 for value in ordered),
    }


def page_time(run: Path, output: Path, repeats: int) -> dict[str, Any]:
    """CPU seconds and peak memory of `symact report` in a process of its own."""
    seconds, clock = [], []
    for _ in range(repeats):
        before, start = sum(os.times()[2:4]), time.monotonic()
        subprocess.run([sys.executable, "-m", "symact", "report", str(run), "--output", str(output)], check=True)
        seconds.append(round(sum(os.times()[2:4]) - before, 2))
        clock.append(round(time.monotonic() - start, 2))
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return {"cpu_seconds": seconds, "clock_seconds": clock, "peak_mib": round(peak), "bytes": output.stat().st_size}


def scroll(page: Any) -> None:
    """From top to bottom and back."""
    for step in (120, -120):
        for _ in range(40):
            page.mouse.wheel(0, step)
            page.wait_for_timeout(16)


def sort(page: Any) -> None:
    """By every heading in turn, both ways."""
    buttons = page.locator("section.leaderboard th button")
    for place in range(buttons.count()):
        if buttons.nth(place).is_visible():
            for _ in range(2):
                buttons.nth(place).click()
                page.wait_for_timeout(30)


def filtered(page: Any) -> None:
    """Letter by letter, and by status."""
    box = page.get_by_role("searchbox")
    for text in ("sigmoid(x", "tanh(abs", "exp"):
        box.press_sequentially(text, delay=30)
        box.fill("")
    choice = page.get_by_label("every status")
    for place in (*range(choice.locator("option").count()), 0):
        choice.select_option(index=place)
        page.wait_for_timeout(30)


def point(page: Any) -> None:
    """Across the map in 200 steps."""
    over = page.locator("section.map .u-over")
    over.scroll_into_view_if_needed()
    box = over.bounding_box()
    for step in range(200):
        page.mouse.move(box["x"] + box["width"] * step / 200, box["y"] + box["height"] * ((step * 37) % 200) / 200)
        page.wait_for_timeout(10)


ACTS = {"scrolling": scroll, "sorting": sort, "filtering": filtered, "pointing at the map": point}


def frames(browser: Any, address: str, width: int) -> dict[str, Any]:
    """Milliseconds per frame for everything that is done on the page."""
    context = browser.new_context(viewport={"width": width, "height": 900})
    page = context.new_page()
    start = time.monotonic()
    page.goto(address)
    page.wait_for_selector("tr.row")
    found: dict[str, Any] = {"seconds_until_shown": round(time.monotonic() - start, 2)}
    page.wait_for_timeout(1500)
    session = context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    busy = lambda: {m["name"]: m["value"] for m in session.send("Performance.getMetrics")["metrics"]}["TaskDuration"]
    for name, act in ACTS.items():
        before = busy()
        page.evaluate(FRAMES)
        act(page)
        seen = page.evaluate("() => { window.watching = false; return window.frames_seen; }")
        found[name] = spread(seen) | {"cpu_per_frame": round(1000 * (busy() - before) / max(len(seen), 1), 2)}
    context.close()
    return found


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "page.html"
        results: dict[str, Any] = {"made": page_time(given.run, output, given.repeats)}
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            results["browser"] = f"Chromium {browser.version}, headless"
            for width in WIDTHS:
                results[f"frames at {width}"] = frames(browser, output.as_uri(), width)
            browser.close()
    results["machine"] = {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "load": [round(load, 1) for load in os.getloadavg()],
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in ("numpy", "umap-learn", "numba", "scikit-learn", "playwright")},
    }
    (HERE / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
