import os
import subprocess
import sys
import threading

import pytest
from site_helpers import write_distribution

from a2sb_core.plugins.foreign_code import foreign_code


def test_stdout_comes_back_when_threads_overlap():
    usual, entered, first_left = sys.stdout, threading.Event(), threading.Event()

    def second():
        with foreign_code():
            entered.set()
            first_left.wait(10)

    thread = threading.Thread(target=second)
    with foreign_code():
        thread.start()
        assert entered.wait(10)
        assert sys.stdout is sys.stderr
    assert sys.stdout is sys.stderr
    first_left.set()
    thread.join()
    assert sys.stdout is usual


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked")
def test_processes_that_are_forked_meanwhile_can_end():
    usual = os._exit
    with foreign_code():
        child = os.fork()
        if not child:
            os._exit(5)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 5
    assert os._exit is usual


def test_a_crash_shows_the_file_of_the_plugin(site):
    write_distribution(site, "bad-dist", source="import ctypes\nctypes.string_at(0)")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), *sys.path])}
    code = "from a2sb_core.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "plugins", "list"],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode < 0 and "bad_dist.py" in done.stderr
    environment["A2SB_PLUGINS"] = ""
    subprocess.run([sys.executable, "-c", code, "plugins", "list"], env=environment, check=True)
