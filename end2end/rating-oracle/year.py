"""A year of invoices, each made again from what was told: `cargo xtask bench year` calls this.

    year.py FILE
    year.py FILE --control

FILE has the plans in its first line and a partner in each other one: which plans it was on from when to when, what it used, and the
invoices that it got. Periods are cut here by Python's own calendar, usage is summed up here, and `bill.py` makes the bill. Every
invoice has to be there once, with the same lines and the same total, and no other.

With --control each way to be wrong is tried in turn (rules of `bill.py` that are read wrongly, periods in UTC, an invoice that is
missing, one that is there twice, a unit too many): each has to be found.
"""

import argparse
import copy
import json
import sys
from calendar import monthrange
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from bill import bill

MONTHS = {"month": 1, "quarter": 3, "half_year": 6, "year": 12}
DAYS = {"day": 1, "week": 7}
# Rules that plans of the year depend on.
MISREADINGS = ["truncated", "step-ends", "fee-by-the-day", "volume-as-graduated", "packages-down", "promise-before-discount", "one-period-more", "floor-units"]
SHOWN = 5


class Cycle:
    """Where periods begin, counted from the one that begins at the anchor."""

    def __init__(self, anchor, interval, zone):
        self.interval = interval
        self.zone = ZoneInfo(zone)
        self.local = datetime.fromtimestamp(anchor, UTC).astimezone(self.zone).replace(tzinfo=None)

    def start(self, number):
        if self.interval in DAYS:
            local = self.local + timedelta(days=DAYS[self.interval] * number)
        else:
            month = self.local.month - 1 + MONTHS[self.interval] * number
            year, month = self.local.year + month // 12, month % 12 + 1
            local = self.local.replace(year=year, month=month, day=min(self.local.day, monthrange(year, month)[1]))
        # A time that a clock change skips has the offset from before it, one that it doubles is the first of the two.
        return int(local.replace(tzinfo=self.zone, fold=0).timestamp())

    def number(self, at):
        number = 0
        while self.start(number + 1) <= at:
            number += 1
        return number


def expected(partner, plans, horizon, misread):
    """The invoices that the partner should have, as {(start, end, is in advance): (lines, total)}."""
    invoices = {}
    zone = "UTC" if misread == "periods-in-utc" else partner["zone"]
    cycle = None
    for stay in partner["stays"]:
        plan = plans[stay["plan"]]
        interval = plan.get("interval", "month")
        if cycle is None or cycle.interval != interval:
            cycle = Cycle(stay["since"], interval, zone)
        first = cycle.number(stay["since"])
        number, start = first, stay["since"]
        while stay["until"] is None or start < stay["until"]:
            whole = [cycle.start(number), cycle.start(number + 1)]
            end = min(whole[1], stay["until"] or whole[1])
            case = {"plan": plan, "number": number - first, "whole": whole, "part": [start, end], "used": [], "metered": []}
            if plan.get("fee_due") == "advance" and start <= horizon:
                paid = bill(case, misread)[2][0]
                if paid:
                    invoices[start, end, True] = None, paid
            if end > horizon:
                break
            units = {}
            for at, operation, count in partner["used"]:
                if start <= at < end:
                    units[operation] = units.get(operation, 0) + count
            case["used"] = [{"product": "payments", "operation": name, "units": count} for name, count in units.items()]
            lines, total, _ = bill(case, misread)
            if lines:
                invoices[start, end, False] = lines, total
            number, start = number + 1, end
    return invoices


def differences(partner, plans, horizon, misread=None):
    """What is wrong with the partner's invoices, and how many it has."""
    wanted = expected(partner, plans, horizon, misread)
    for invoice in partner["invoices"]:
        is_advance = all(line[0] in ("base_fee", "discount") for line in invoice["lines"])
        is_advance = is_advance and (invoice["start"], invoice["end"], True) in wanted
        lines, total = wanted.pop((invoice["start"], invoice["end"], is_advance), (None, None))
        if total is None:
            yield f"an invoice that should not be there: {invoice}"
        elif total != invoice["total"] or (lines is not None and lines != invoice["lines"]):
            yield f"wanted {lines} {total}, has {invoice}"
        elif sum(line[6] for line in invoice["lines"]) != total:
            yield f"its lines do not add up: {invoice}"
    for (start, end, _), (lines, total) in wanted.items():
        yield f"no invoice from {start} to {end}: {lines} {total}"


def judge(plans, horizon, partners, misread=None):
    return [f"{partner['partner']}: {wrong}" for partner in partners for wrong in differences(partner, plans, horizon, misread)]


def tampered(partners):
    """The year with one thing wrong, and what it is."""
    having = next(index for index, partner in enumerate(partners) if len(partner["invoices"]) > 2 and len(partner["used"]) > 2)

    def other(what, change):
        changed = list(partners)
        changed[having] = copy.deepcopy(partners[having])
        change(changed[having])
        return what, changed

    yield other("an invoice is missing", lambda partner: partner["invoices"].pop(1))
    yield other("an invoice is there twice", lambda partner: partner["invoices"].append(partner["invoices"][1]))

    def unit(partner):
        usage = next(line for invoice in partner["invoices"] for line in invoice["lines"] if line[0] == "usage")
        usage[4] += 1

    yield other("a line has a unit too many", unit)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("file")
    arguments.add_argument("--control", action="store_true")
    asked = arguments.parse_args()
    with open(asked.file, encoding="utf-8") as file:
        head, *partners = (json.loads(line) for line in file)
    plans, horizon = head["plans"], head["horizon"]
    if asked.control:
        sys.exit(0 if control(plans, horizon, partners) else 1)
    wrong = judge(plans, horizon, partners)
    for line in wrong[:SHOWN]:
        print(line)
    count = sum(len(partner["invoices"]) for partner in partners)
    print(f"{'FAIL' if wrong or not count else 'ok  '} {len(wrong)} of {count} invoices of {len(partners)} partners differ from the oracle's")
    sys.exit(1 if wrong or not count else 0)


def control(plans, horizon, partners):
    well = True
    for misread in [*MISREADINGS, "periods-in-utc"]:
        found = judge(plans, horizon, partners, misread)
        well &= bool(found)
        print(f"{'ok  ' if found else 'FAIL'} {len(found)} found where the oracle reads {misread}")
    for what, changed in tampered(partners):
        found = judge(plans, horizon, changed)
        well &= len(found) == 1
        print(f"{'ok  ' if len(found) == 1 else 'FAIL'} {len(found)} found where {what}")
    return well


if __name__ == "__main__":
    main()
