"""Coverage-guided fuzzing of every parser: `python -m tests.fuzz.run [--seconds 90] [TARGET ...] [--record]`.

Each target of `targets.py` is fuzzed by Atheris (libFuzzer) in a process of its own. A text that raises
anything undocumented, takes more than a second of processor time, or 2 GB of memory, stops its target and
is kept under `runs/fuzz/found/`. With `--record` the counts are added to those in `runs/fuzz/results.json`.
Needs `pip install atheris`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RECORDS = ROOT / "runs" / "fuzz"
CPU_SECONDS = 1.0  # a text may take
STUCK_SECONDS = 20  # of processor time, after which a text is interrupted


class HangError(Exception):
    """A text took too long."""


def fuzz(name: str, seconds: int, folder: Path) -> None:
    """In a process of its own: fuzz one target until the time is over."""
    import atheris

    with atheris.instrument_imports(include=["symact"]):
        from tests.fuzz import targets

    target, words, count = targets.TARGETS[name], targets.WORDS[name], 0

    def interrupt(*_: object) -> None:
        raise HangError(f"more than {STUCK_SECONDS} s")

    signal.signal(signal.SIGPROF, interrupt)

    def one(data: bytes) -> None:
        nonlocal count
        if time.process_time() > seconds:
            (folder / "executions").write_text(str(count))
            os._exit(0)
        count += 1
        text = as_text(data, words)
        signal.setitimer(signal.ITIMER_PROF, STUCK_SECONDS)
        began = time.process_time()
        try:
            target(text)
            took = time.process_time() - began
            if took > CPU_SECONDS:
                raise HangError(f"{took:.1f} s")
        except BaseException:
            (folder / "text").write_text(text, errors="surrogatepass")
            raise
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)

    corpus = folder / "corpus"
    corpus.mkdir()
    for index, text in enumerate(targets.seeds(name)):
        (corpus / f"seed{index}").write_bytes(b"\0" + text.encode())
    limits = ["-max_len=6000", "-timeout=120", "-rss_limit_mb=2048"]
    dictionary = folder / "words"
    dictionary.write_text("".join(f'"{_escaped(word)}"\n' for word in words))
    atheris.Setup(
        [
            sys.argv[0],
            *limits,
            f"-dict={dictionary}",
            "-print_final_stats=1",
            f"-artifact_prefix={folder}/",
            str(corpus),
        ],
        one,
    )
    atheris.Fuzz()


def _escaped(word: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word.encode()[:60])


def as_text(data: bytes, words: list[str]) -> str:
    """The first byte chooses: the bytes as they are, or each byte a word of the target's language."""
    if data[:1] in (b"", b"\0") or data[0] % 4:
        return data[1:].decode("utf-8", "replace")
    return "".join(words[byte % len(words)] if byte < 224 else chr(byte - 192) for byte in data[1:])


def run(name: str, seconds: int) -> dict:
    """Fuzz a target in a process of its own; what came of it."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        command = [sys.executable, "-m", "tests.fuzz.run", "--child", name, str(seconds), str(folder)]
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", cwd=ROOT
        )
        counted = re.findall(r"stat::number_of_executed_units:\s*(\d+)", done.stdout)
        if (folder / "executions").exists():
            counted = [(folder / "executions").read_text()]
        covered = re.findall(r"cov: (\d+) ft: (\d+)", done.stdout)
        found = {"executions": int(counted[-1]) if counted else 0, "edges": int(covered[-1][0]) if covered else 0}
        if done.returncode == 0:
            return {**found, "findings": 0}
        reasons = [line for line in done.stdout.splitlines() if re.match(r"^\s*(\w+\.)*\w*(Error|Exception)\b", line)]
        text = folder / "text"
        kept = RECORDS / "found" / f"{name}-{int(time.time())}"
        kept.parent.mkdir(exist_ok=True)
        kept.write_bytes(text.read_bytes() if text.exists() else b"")
        log = kept.with_suffix(".log")
        log.write_text(done.stdout[-20_000:])
        return {**found, "findings": 1, "what": reasons[-1] if reasons else f"see {log.name}", "text": str(kept)}


def record(name: str, found: dict) -> None:
    """Add the counts of a target to what is recorded."""
    path = RECORDS / "results.json"
    document = json.loads(path.read_text()) if path.exists() else {"targets": {}}
    before = document["targets"].get(name, {})
    counts = {key: before.get(key, 0) + found[key] for key in ("executions", "findings", "processor seconds")}
    document["targets"][name] = {**counts, "edges": max(found["edges"], before.get("edges", 0))}
    document["executions"] = sum(target["executions"] for target in document["targets"].values())
    document["machine"] = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    path.write_text(json.dumps(document, indent=2) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="all of them by default")
    parser.add_argument("--seconds", type=int, default=90, help="of processor time, per target")
    parser.add_argument("--record", action="store_true", help="write the counts to results.json")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    try:
        import atheris  # noqa: F401
    except ImportError:
        print(
            "The fuzzer needs Atheris: pip install atheris (wheels for Linux and macOS, Python 3.11 to 3.13)",
            file=sys.stderr,
        )
        return 2
    if arguments.child:
        fuzz(arguments.child[0], int(arguments.child[1]), Path(arguments.child[2]))
        return 0
    from tests.fuzz import targets

    unknown = set(arguments.targets) - set(targets.TARGETS)
    if unknown:
        parser.error(f"unknown target {sorted(unknown)}; known are {', '.join(targets.TARGETS)}")
    found = {}
    for name in arguments.targets or targets.TARGETS:
        began = os.times()
        found[name] = run(name, arguments.seconds)
        ended = os.times()
        spent = ended.children_user + ended.children_system - began.children_user - began.children_system
        found[name]["processor seconds"] = round(spent)
        print(name, json.dumps(found[name]), flush=True)
        if arguments.record:
            record(name, found[name])
    return 1 if any(f["findings"] for f in found.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
