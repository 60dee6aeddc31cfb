"""Holds the ledger against the provider's record: call by call, token by token."""

from collections import Counter, defaultdict
from datetime import datetime
from decimal import Decimal
from typing import Any

from services import PRICES

SPOILS = ("error-200", "garbage", "html", "error-mid", "cut", "hang")
"""Wishes after which the answer is none, or not all of one, although the provider has counted all of it."""
SENT_AND_LOST_SECONDS = 1.0
"""How long before a kill a call may have been answered whose end was not in the journal yet: a streamed answer is
ended when its last bytes have been handed over."""


def compare(calls: list[dict], rows: list[dict], outcomes: list[Any], blows: list[Any]) -> dict[str, Any]:
    problems: list[str] = []
    by_id: dict[str, list[dict]] = defaultdict(list)
    for row in rows:
        by_id[row["client_request_id"]].append(row)
    asked: dict[str, list[dict]] = defaultdict(list)
    for call in calls:
        asked[call["prompt"].split(":")[0]].append(call)

    for outcome in outcomes:
        found = by_id.pop(outcome.id, [])
        sent = asked.pop(outcome.id, [])
        if len(found) > 1:
            problems.append(f"{outcome.id} is {len(found)} rows of the ledger")
        elif not found and sent:
            problems.append(f"{outcome.id} was sent {len(sent)} times and is not in the ledger")
        elif found:
            problems += differences(found[0], sent, outcome, blows)
    problems += [f"{id} is in the ledger and nobody asked for it" for id in by_id]
    problems += [f"the provider was asked for '{id}' and nobody did" for id in asked]

    states = Counter(row["state"] for row in rows)
    costs = sum((Decimal(row["cost_usd"] or 0) for row in rows), Decimal(0))
    tokens = sum(row["usage"].get("input_tokens", 0) + row["usage"].get("output_tokens", 0) for row in rows)
    return {
        "problems": problems,
        "figures": {
            "callers": {
                "calls": len(outcomes),
                "whole answers": sum(outcome.was_whole for outcome in outcomes),
                "hung up": sum(outcome.hangs_up != "never" for outcome in outcomes),
            },
            "provider": {"requests": len(calls), "answers handed over": sum(call["completed"] for call in calls)},
            "ledger": {
                "rows": len(rows),
                "attempts": sum(len(row["attempts"]) for row in rows),
                **dict(sorted(states.items())),
                "interrupted": sum(row["end_reason"] == "interrupted" for row in rows),
                "tokens": tokens,
                "dollars": costs,
            },
        },
    }


def differences(row: dict, sent: list[dict], outcome: Any, blows: list[Any]) -> list[str]:
    """What the row says otherwise than the provider's record, or than what the caller saw."""
    problems = []
    attempts = row["attempts"]
    is_interrupted = row["end_reason"] == "interrupted"
    if len(sent) > len(attempts):
        problems.append(f"was sent {len(sent)} times, {len(attempts)} attempts are in the ledger")
    if row["state"] == "settled" and len(sent) != len(attempts):
        problems.append(f"is settled with {len(attempts)} attempts, the provider saw {len(sent)}")
    if is_interrupted and not was_struck(row, blows):
        problems.append("was interrupted though nothing was killed then")
    if row["state"] == "settled":
        problems += usage_differences(row, sent)
    if row["state"] == "failed" and told_usage(sent, outcome):
        problems.append("failed, and the provider answered it in full")
    if outcome.was_whole and outcome.status == 200:
        problems += whole_answer_differences(row, sent, outcome, blows)
    problems += arithmetic_differences(row)
    return [f"{row['request_id']} ({outcome.id}, {outcome.face} to {outcome.model}, wish '{outcome.wish}', {row['state']}): {problem}" for problem in problems]


def whole_answer_differences(row: dict, sent: list[dict], outcome: Any, blows: list[Any]) -> list[str]:
    """A caller who got a whole answer is charged for it: what the provider says, or an estimate where it says nothing."""
    if not told_usage(sent, outcome) or row["state"] == "settled":
        return []
    # The end of a stream is written when it has been handed over; a kill may come in between.
    if outcome.streamed and row["end_reason"] == "interrupted" and is_near(outcome.ended, blows):
        return []
    return [f"was answered in full with its usage, and is {row['state']} ({row['end_reason']})"]


def told_usage(sent: list[dict], outcome: Any) -> bool:
    """Whether the provider's last answer was whole and said what it took."""
    return bool(sent) and sent[-1]["usage_reported"] and sent[-1]["completed"] and not outcome.wish.startswith(SPOILS)


def usage_differences(row: dict, sent: list[dict]) -> list[str]:
    told = [call["usage"] for call in sent if call["usage"] and call["status"] == 200]
    if not told:
        return ["is settled, and the provider never told a usage"]
    names = {
        "input_tokens": "input",
        "cached_input_tokens": "cached_input",
        "cache_write_5m_tokens": "cache_write_5m",
        "cache_write_1h_tokens": "cache_write_1h",
        "output_tokens": "output",
    }
    return [
        f"{ours} is {row['usage'].get(ours, 0)}, the provider's {theirs} is {told[-1][theirs]}"
        for ours, theirs in names.items()
        if row["usage"].get(ours, 0) != told[-1][theirs]
    ]


def arithmetic_differences(row: dict) -> list[str]:
    """The cost, computed again from the usage."""
    usage = row["usage"]
    if usage.get("cached_input_tokens", 0) > usage.get("input_tokens", 0):
        return ["more input is cached than there is"]
    if row["state"] == "failed" and not usage.get("input_tokens", 0):
        expected = Decimal(0)
    else:
        cached = usage.get("cached_input_tokens", 0)
        fresh = usage.get("input_tokens", 0) - cached
        expected = (fresh * Decimal(PRICES["input"]) + cached * Decimal(PRICES["cached_input"]) + usage.get("output_tokens", 0) * Decimal(PRICES["output"])) / 1_000_000
    if row["cost_usd"] is None or Decimal(row["cost_usd"]) != expected:
        return [f"costs {row['cost_usd']}, computed again it is {expected}"]
    return []


def was_struck(row: dict, blows: list[Any]) -> bool:
    """Whether a process ended while the call was open."""
    began = datetime.fromisoformat(row["started_at"]).timestamp()
    return any(blow.what.startswith(("kill", "stop")) and blow.ended >= began - SENT_AND_LOST_SECONDS for blow in blows)


def is_near(moment: float, blows: list[Any]) -> bool:
    return any(blow.began - SENT_AND_LOST_SECONDS <= moment <= blow.ended + SENT_AND_LOST_SECONDS for blow in blows)
