"""Holds what callers with limits took against the limits, and against what `docs/replicas.md` states beyond them."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from services import BUDGET_DOLLARS, RATE

UNSAID_SECONDS = 0.5
"""For how long what a replica took may be known to nobody else: a fifth of a second, and more where the machine is busy."""
ENDS = ("kill", "stop")
LOSSES = ("flush", "restart")
KNOWN_AGAIN_SECONDS = 5
"""How long after somebody was struck everybody knows what was taken until then: a journal is taken over when its gateway
starts again, and what was flushed is said anew."""


def overruns(rows: list[dict], outcomes: list[Any], blows: list[Any], is_shared: bool) -> dict[str, Any]:
    """What was taken of the rate that its counters cannot have forgotten must be within it, and nobody may be let in once
    the budget is known to be spent. What was under way is what the page allows beyond that."""
    key_of = {outcome.id: outcome.key for outcome in outcomes}
    taken = {key: [row for row in rows if key_of.get(row["client_request_id"]) == key and row["attempts"]] for key in ("rated", "budgeted")}
    problems = []

    rated = taken["rated"]
    forgotten = [row for row in rated if is_forgotten(row, blows, is_shared) or striking(row, blows)]
    if (counted := len(rated) - len(forgotten)) > RATE:
        problems.append(f"the rate of {RATE} was overrun: {counted} requests, beside {len(forgotten)} that may not have been known")

    budgeted = taken["budgeted"]
    late = [row for row in budgeted if known_at(budgeted, blows, began(row)) >= Decimal(BUDGET_DOLLARS)]
    problems += [f"{row['request_id']} was let in though the budget of {BUDGET_DOLLARS} was known to be spent" for row in late]

    refused = sum(outcome.status == 429 and outcome.key != "free" for outcome in outcomes)
    return {
        "problems": problems,
        "figures": {
            f"requests of {RATE}": len(rated),
            "of them perhaps not known": len(forgotten),
            f"dollars of {BUDGET_DOLLARS}": sum(cost(row) for row in budgeted),
            "refused": refused,
        },
    }


def is_forgotten(row: dict, blows: list[Any], is_shared: bool) -> bool:
    """Whether a rate may not know of it any more. Rates are in memory: in what is shared, and in the processes that took
    it, which say it anew as long as they live."""
    ends = [blow.began for blow in blows if blow.what.startswith(ENDS) and blow.began >= began(row) - UNSAID_SECONDS]
    if not is_shared:
        return bool(ends)
    return any(blow.what.startswith(LOSSES) and any(end <= blow.ended for end in ends) for blow in blows)


def known_at(rows: list[dict], blows: list[Any], moment: float) -> Decimal:
    """What everybody knew then to have been spent."""
    known = [row for row in rows if ended(row) + UNSAID_SECONDS < moment and all(blow.ended + KNOWN_AGAIN_SECONDS < moment for blow in striking(row, blows))]
    return sum((cost(row) for row in known), Decimal(0))


def striking(row: dict, blows: list[Any]) -> list[Any]:
    """The blows by which what it took may have become unknown for a while: it was under way, or had just ended, when
    whoever knew of it was struck, or could not be heard."""
    struck = [blow for blow in blows if not blow.what.startswith(("freeze", "database"))]
    return [blow for blow in struck if began(row) <= blow.ended + UNSAID_SECONDS and ended(row) >= blow.began - UNSAID_SECONDS]


def began(row: dict) -> float:
    return datetime.fromisoformat(row["started_at"]).timestamp()


def ended(row: dict) -> float:
    return datetime.fromisoformat(row["ended_at"]).timestamp() if row["ended_at"] else began(row)


def cost(row: dict) -> Decimal:
    return Decimal(row["cost_usd"] or 0)
