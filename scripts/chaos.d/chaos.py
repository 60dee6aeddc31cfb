"""Load, faults and kills against the real binary; then the ledger is held against the simulated provider's record."""

import argparse
import json
import random
import shutil
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from callers import Caller, Outcome
from comparison import compare
from limits import overruns
from services import Database, Gateway, Redis, Sim

PAUSE_BETWEEN_BLOWS_SECONDS = (0.8, 3.0)
"""How long the gateways are left alone between two blows."""
STRUCK = {"database down": "PostgreSQL", "flush": "Redis", "restart": "Redis", "slowness": "Redis"}
"""Who is struck, unless it is a gateway."""


@dataclass
class Blow:
    """Something that was done to a process, and when (seconds since 1970)."""

    what: str
    began: float
    ended: float = 0.0


@dataclass
class Run:
    seed: int
    seconds: float
    callers: int
    gateways: list[Gateway]
    database: Database | None
    redis: Redis | None
    over: threading.Event = field(default_factory=threading.Event)
    blows: list[Blow] = field(default_factory=list)
    failure: Exception | None = None

    def strike(self) -> None:
        """Strikes until the time is up. A blow that fails is no finding: the run cannot be judged."""
        try:
            self.strike_on()
        except Exception as error:  # noqa: BLE001, it is raised again where it is seen
            self.failure = error
            self.over.set()

    def strike_on(self) -> None:
        """Kills, stops and pauses until the time is up. Every draw comes from the seed."""
        chance = random.Random(f"{self.seed} blows")
        while not self.over.wait(chance.uniform(*PAUSE_BETWEEN_BLOWS_SECONDS)):
            kinds = ["kill -9"] * 5 + ["stop in order"] * 2 + ["freeze"] * 2
            if self.database and self.redis:
                kinds += ["database down"] * 2 + ["flush"] * 2 + ["restart"] + ["slowness"]
            kind = chance.choice(kinds)
            gateway = chance.choice(self.gateways)
            pause = chance.uniform(0.1, 1.5)
            blow = Blow(f"{kind} of {STRUCK.get(kind, gateway.name)}", time.time())
            self.blows.append(blow)
            if kind == "kill -9":
                gateway.kill()
                gateway.start()
            elif kind == "stop in order":
                gateway.stop()
                gateway.start()
            elif kind == "freeze":
                gateway.freeze(pause)
            elif kind == "database down" and self.database:
                self.database.restart(pause)
            elif self.redis:
                self.strike_redis(self.redis, kind, pause)
            blow.ended = time.time()

    @staticmethod
    def strike_redis(redis: Redis, kind: str, pause: float) -> None:
        if kind == "flush":
            redis.flush()
        elif kind == "restart":
            redis.restart(pause)
        else:
            redis.be_slow(pause)


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120, help="how long calls are made [120]")
    parser.add_argument("--seed", type=int, default=None, help="what is drawn [the time]")
    parser.add_argument("--callers", type=int, default=8, help="how many call at the same time, 1 to 64 [8]")
    parser.add_argument("--store", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--report", type=Path, help="where the report goes as JSON")
    parser.add_argument("--keep", action="store_true", help="leave the directory, for a look at logs and journals")
    options = parser.parse_args()
    if not 1 <= options.callers <= 64 or not 1 <= options.seconds <= 3600:
        parser.error("--callers is 1 to 64, --seconds 1 to 3600")
    seed = options.seed if options.seed is not None else int(time.time())
    print(f"seed {seed}, {options.seconds:.0f} s, {options.callers} callers, {options.store}", flush=True)

    home = Path(tempfile.mkdtemp(prefix="trunkline-chaos."))
    try:
        report = run(home, seed, options)
    finally:
        if options.keep:
            print(f"everything is in {home}", flush=True)
        else:
            shutil.rmtree(home, ignore_errors=True)
    if options.report:
        options.report.write_text(json.dumps(report, indent=2))
    return 1 if report["problems"] else 0


def run(home: Path, seed: int, options: argparse.Namespace) -> dict:
    database = Database.of_environment() if options.store == "postgres" else None
    sim = Sim(home, seed)
    redis = Redis() if database else None
    gateways = [Gateway(home, number, sim.url, database, redis) for number in range(2 if database else 1)]
    try:
        for gateway in gateways:
            gateway.start()
        chaos = Run(seed, options.seconds, options.callers, gateways, database, redis)
        outcomes = under_fire(chaos)
        rows, settled = at_rest(gateways)
        report = compare(sim.calls(), rows, outcomes, chaos.blows)
        limits = overruns(rows, outcomes, chaos.blows, is_shared=redis is not None)
        report["figures"]["limits"] = limits["figures"]
        report["problems"] += limits["problems"]
        report |= {"seed": seed, "blows": [blow.what for blow in chaos.blows]}
        report["problems"] += settled
        report["problems"] += checked_by_itself(gateways[0])
    finally:
        for gateway in gateways:
            gateway.kill()
        sim.stop()
        if redis:
            redis.kill()
    tell(report)
    return report


def under_fire(chaos: Run) -> list[Outcome]:
    callers = [Caller(chaos.seed, number, chaos.gateways, chaos.over) for number in range(chaos.callers)]
    threads = [threading.Thread(target=caller.run) for caller in callers]
    striker = threading.Thread(target=chaos.strike)
    for thread in [*threads, striker]:
        thread.start()
    time.sleep(chaos.seconds)
    chaos.over.set()
    for thread in [*threads, striker]:
        thread.join()
    if chaos.failure:
        raise chaos.failure
    return [outcome for caller in callers for outcome in caller.outcomes]


def at_rest(gateways: list[Gateway]) -> tuple[list[dict], list[str]]:
    """Every row of the ledger once nothing is under way, and what should not be so then."""
    problems = []
    for gateway in gateways:
        gateway.wait_until_ready()
        dispatched, captured = gateway.wait_until_quiet()
        if dispatched != captured:
            problems.append(f"{gateway.name}: {dispatched} attempts were dispatched and {captured} captured")
    # What a gateway that was killed left behind is settled when it starts again; the others have nothing open.
    for gateway in gateways:
        gateway.stop()
        gateway.start()
        if leftovers := gateway.journal_of_the_dead():
            problems.append(f"{gateway.name}: the journal was not settled: {leftovers}")
    return gateways[0].logs(), problems


def checked_by_itself(gateway: Gateway) -> list[str]:
    """What `trunkline ledger check` finds."""
    checked = gateway.command("ledger", "check", "--json")
    if checked.returncode == 0:
        return []
    return [f"trunkline ledger check: {checked.stdout.strip()[:2000]} {checked.stderr.strip()[:500]}"]


def tell(report: dict) -> None:
    print(f"\n{len(report['blows'])} blows: {', '.join(report['blows'])}")
    for name, figures in report["figures"].items():
        print(f"{name}: " + ", ".join(f"{value} {key}" for key, value in figures.items()))
    for problem in report["problems"][:40]:
        print(f"PROBLEM {problem}")
    if len(report["problems"]) > 40:
        print(f"and {len(report['problems']) - 40} more problems")
    verdict = "differs from" if report["problems"] else "agrees with"
    print(f"the ledger {verdict} the provider's record and the limits (seed {report['seed']})")


if __name__ == "__main__":
    sys.exit(main())
