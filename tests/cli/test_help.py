"""What the command line says of itself, and what it says when something is missing."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import pytest

from scaler.cli.extras import needing
from scaler.sim.scenario import POLICIES, Scenario
from tests.cli.conftest import Scaler
from tests.house.source import ROOT

COMMANDS = [
    [],
    ["demo"],
    ["serve"],
    ["explain"],
    ["gate"],
    ["gate", "check"],
    ["gate", "keys"],
    ["gate", "prestop"],
    ["config"],
    ["config", "check"],
    ["config", "schema"],
    ["config", "example"],
    ["config", "explain"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(scaler: Scaler, command: list[str]) -> None:
    """Each that does something shows an example, and the whole tells its exit codes."""
    told = scaler(*command, "--help")
    assert told.exit_code == 0
    teaches = "Exit codes:" if not command else "Commands" if command == ["config"] else "Example: scaler"
    assert teaches in told.stdout
    assert scaler(*command, "-h").stdout == told.stdout


def test_the_exit_codes_are_all_told(scaler: Scaler) -> None:
    """That of an interrupt, too."""
    told = " ".join(scaler("--help").stdout.split())
    assert all(f" {code} " in told.partition("Exit codes:")[2] for code in (0, 1, 2, 130))


def test_the_version_is_that_of_the_installation(scaler: Scaler) -> None:
    """Which is also in the metrics."""
    assert scaler("--version").stdout == f"scaler {version('agent-scaler')}\n"


@pytest.mark.parametrize("arguments", [["unheard-of"], ["serve"], ["explain", "a/b", "--unheard-of"]])
def test_a_slip_of_the_pen_is_bad_input(scaler: Scaler, arguments: list[str]) -> None:
    """Exit code 2, with the usage."""
    told = scaler(*arguments)
    assert told.exit_code == 2
    assert "Usage:" in told.stderr


def test_the_bare_installation_says_which_extra_it_lacks() -> None:
    """Without third-party packages the program still starts, and names what to install."""
    bare = [sys.executable, "-S", "-m", "scaler", "serve", "pools.yaml"]
    ran = subprocess.run(bare, cwd=ROOT, capture_output=True, text=True, check=False, env={})
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == "this needs typer: pip install 'agent-scaler[scaler]'\n"


def test_a_missing_module_of_ours_is_no_missing_extra() -> None:
    """No extra would bring it, so the traceback is not hidden."""
    with pytest.raises(ModuleNotFoundError), needing("scaler"):
        raise ModuleNotFoundError(name="scaler.absent")


def test_a_command_without_its_extra_is_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    """The missing package and the extra that brings it are both named."""
    with pytest.raises(SystemExit) as ended, needing("sim"):
        raise ModuleNotFoundError(name="rich.live")
    assert ended.value.code == 2
    assert capsys.readouterr().err == "this needs rich.live: pip install 'agent-scaler[sim]'\n"


@pytest.mark.parametrize("command", ["run", "compare", "report", "sweep", "tune", "warm"])
def test_what_may_be_left_out_stands_in_one_pair_of_brackets(scaler: Scaler, command: str) -> None:
    """As everywhere in usages."""
    usage = scaler("simulate", command, "--help").stdout.strip().splitlines()[0]
    assert usage.split()[-2:] in (["[OPTIONS]", "[SCENARIO]"], ["[OPTIONS]", "[FILE.yaml]"])


@pytest.mark.parametrize("command", ["run", "compare", "report", "sweep"])
def test_each_limit_is_told_with_its_unit_and_what_is_over_it(scaler: Scaler, command: str) -> None:
    """Where they are asked for; so that nobody takes /opt for the price over the limit without waiting."""
    told = " ".join(scaler("simulate", command, "--help").stdout.replace("│", " ").split())
    assert "the least that the work can cost, in pod-seconds" in told
    assert "opt_w: knows all that comes, and pays for waiting as policies do; /opt is the price over it." in told
    assert "opt_zero_wait: the pods of the cheapest schedule in which nobody waits, knowing all that comes." in told
    assert "Nothing is told over that one: where waiting is cheaper than a pod, a policy may cost less." in told


@pytest.mark.parametrize("command", ["run", "compare", "report", "sweep", "tune"])
def test_what_holds_where_nothing_is_said_is_told(scaler: Scaler, command: str) -> None:
    """For a planner who gives a trace and no scenario, the defaults are the pool: they are those of a scenario."""
    told = " ".join(scaler("simulate", command, "--help").stdout.replace("│", " ").split())
    usual = Scenario()
    keys = ("slots", "startup", "min", "max", "dispatch", "wait_price", "seeds", "bursts", "thin", "stretch")
    for key in keys:
        value = getattr(usual, key)
        shown = f"{value:g}" if isinstance(value, float) else str(getattr(value, "value", value))
        about = told[told.index(f"--{key.replace('_', '-')} ") :]
        assert about[about.index("[default: (") :].startswith(f"[default: ({shown})]"), key
    assert f"[default: ({usual.target_wait:g}s)]" in told[told.index("--target-wait") :]
    assert all(name in told[told.index("--policies") :] for name in POLICIES)
