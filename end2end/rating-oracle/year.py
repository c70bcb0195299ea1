"""A year of invoices, each made again from what was told: `cargo xtask bench year` calls this.

    year.py FILE
    year.py FILE --control

FILE has the plans in its first line and a partner in each other one: which plans it was on from when to when, what it used, and the
invoices that it got. Periods are cut here by Python's own calendar, usage is summed up here, and `bill.py` makes the bill. Every
invoice has to be there once, with the same lines and the same total, and no other. Where a plan has a threshold, its threshold
invoices are decided on here, too, day by day; and of what was made alone, their sum and each one's size are judged once more.

With --control each way to be wrong is tried in turn (rules of `bill.py` that are read wrongly, periods in UTC, threshold invoices that
are decided on wrongly, an invoice that is missing, one that is there twice, a unit too many): each has to be found.
"""

import argparse
import copy
import json
import sys
from fractions import Fraction

from cycle import Cycle
from period import bill

# Rules that plans of the year depend on.
MISREADINGS = ["truncated", "step-ends", "fee-by-the-day", "volume-as-graduated", "packages-down", "promise-before-discount", "one-period-more", "floor-units"]
# Rules of threshold invoices.
CUT_MISREADINGS = {
    "cut-by-itself": "a threshold invoice is the rating of what was used since the one before",
    "cut-from-billed": "the threshold counts from what is billed, and so a void one makes the next come at once",
    "cut-from-totals": "the threshold counts from the sum of all totals, and so a void one makes the second next come late",
    "void-taken-off": "a void one is taken off those after it",
    "cut-with-fee": "a threshold invoice has the fee and what is missing to a minimum",
}
DAY = 86_400
MICROS = 1_000_000
SHOWN = 5


def expected(partner, plans, horizon, misread):
    """The invoices that the partner should have, as {(start, end, kind): (lines, total)}."""
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
                paid = bill(case, misread)["ahead"][0]
                if paid:
                    invoices[start, end, "advance"] = None, paid
            billed = []
            if "invoice_threshold" in plan:
                # Nobody knew then of a change that came later.
                cuts = expected_cuts(partner, {**case, "part": [start, whole[1]]}, min(end - 1, horizon), misread)
                for until, lines, total, _, is_void in cuts:
                    invoices[start, until, "cut"] = lines, total
                    if not is_void or misread == "void-taken-off":
                        billed.append(total)
            if end > horizon:
                break
            case["used"] = used_in(partner, start, end)
            made = bill(case, misread)
            lines = made["lines"] + [["billed_before", None, None, None, 1, 0, -one] for one in billed]
            if lines:
                invoices[start, end, "close"] = lines, made["total"] - sum(billed)
            number, start = number + 1, end
    return invoices


def used_in(partner, start, end):
    units = {}
    for at, operation, count in partner["used"]:
        if start <= at < end:
            units[operation] = units.get(operation, 0) + count
    return [{"product": "payments", "operation": name, "units": count} for name, count in units.items()]


def expected_cuts(partner, case, last, misread):
    """The threshold invoices of a period until then, which is looked at when a day (UTC) ends: end, lines, total, what was rated, is void."""
    plan, start = case["plan"], case["part"][0]
    threshold = int(Fraction(plan["invoice_threshold"]) * MICROS)
    usage_only = {**plan, "base_fee": "0", "minimum": "0"}
    if "commitment" in plan:
        usage_only["commitment"] = {**plan["commitment"], "amount": "0"}
    void = {tuple(cut) for cut in partner["void"]}
    partner = {"used": [used for used in partner["used"] if start <= used[0] <= last]}
    cuts = []
    for until in range(start - start % DAY + DAY, last + 1, DAY):
        begin = cuts[-1][0] if cuts and misread == "cut-by-itself" else start
        rated_as = plan if misread == "cut-with-fee" else usage_only
        made = bill({**case, "plan": rated_as, "used": used_in(partner, begin, until)}, misread)
        lines, rated = made["lines"], made["total"]
        standing = [cut for cut in cuts if not cut[4] or misread == "void-taken-off"]
        before = cuts[-1][3] if cuts else 0
        if misread == "cut-by-itself":
            before, standing = 0, []
        elif misread == "cut-from-billed":
            before = sum(cut[2] for cut in standing)
        elif misread == "cut-from-totals":
            before = sum(cut[2] for cut in cuts)
        if rated - before < threshold:
            continue
        lines += [["billed_before", None, None, None, 1, 0, -cut[2]] for cut in standing]
        cuts.append((until, lines, rated - sum(cut[2] for cut in standing), rated, (start, until) in void))
    return cuts


def differences(partner, plans, horizon, misread=None):
    """What is wrong with the partner's invoices, and how many it has."""
    wanted = expected(partner, plans, horizon, misread)
    for invoice in partner["invoices"]:
        is_advance = all(line[0] in ("base_fee", "discount") for line in invoice["lines"])
        is_advance = is_advance and (invoice["start"], invoice["end"], "advance") in wanted
        kind = "cut" if invoice["cut"] else "advance" if is_advance else "close"
        lines, total = wanted.pop((invoice["start"], invoice["end"], kind), (None, None))
        if total is None:
            yield f"an invoice that should not be there: {invoice}"
        elif total != invoice["total"] or (lines is not None and lines != invoice["lines"]):
            yield f"wanted {lines} {total}, has {invoice}"
        elif sum(line[6] for line in invoice["lines"]) != total:
            yield f"its lines do not add up: {invoice}"
    for (start, end, _), (lines, total) in wanted.items():
        yield f"no invoice from {start} to {end}: {lines} {total}"


def unlike_one(partner, plans):
    """Of what was made alone: where threshold invoices and the last one do not add up to one bill, or one is smaller than its threshold."""
    of_period = {}
    for invoice in partner["invoices"]:
        of_period.setdefault(invoice["start"], []).append(invoice)
    for start, invoices in of_period.items():
        cuts = sorted((invoice for invoice in invoices if invoice["cut"]), key=lambda invoice: invoice["cut"])
        if not cuts:
            continue
        plan = next(plans[stay["plan"]] for stay in reversed(partner["stays"]) if stay["since"] <= start)
        threshold = Fraction(plan["invoice_threshold"]) * MICROS
        last = [invoice for invoice in invoices if not invoice["cut"]]
        billed = sum(invoice["total"] for invoice in [*cuts, *last] if not invoice["void"])
        costs = sum(rated(invoice) for invoice in last)
        if last and billed != costs:
            yield f"the period from {start} costs {costs}, and {billed} was billed: {cuts} {last}"
        before = 0
        for cut in cuts:
            if cut["total"] < threshold or rated(cut) - before < threshold:
                yield f"a threshold invoice below {threshold}: {cut}"
            before = rated(cut)


def rated(invoice):
    return sum(line[6] for line in invoice["lines"] if line[0] != "billed_before")


def judge(plans, horizon, partners, misread=None):
    return [f"{partner['partner']}: {wrong}" for partner in partners for wrong in differences(partner, plans, horizon, misread)]


def judge_cuts(plans, partners):
    return [f"{partner['partner']}: {wrong}" for partner in partners for wrong in unlike_one(partner, plans)]


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


def with_other_cuts(partners):
    """The year with one threshold invoice wrong, and what it is."""

    def closed(partner):
        """A threshold invoice that stands, and the last one of its period."""
        cuts = (invoice for invoice in partner["invoices"] if invoice["cut"] and not invoice["void"])
        for cut in cuts:
            for last in partner["invoices"]:
                if last["start"] == cut["start"] and not last["cut"]:
                    return cut, last
        return None

    having = next((index for index, partner in enumerate(partners) if closed(partner)), None)
    if having is None:
        return

    def other(what, change):
        changed = list(partners)
        changed[having] = copy.deepcopy(partners[having])
        change(*closed(changed[having]))
        return what, changed

    def add(invoice, line):
        invoice["lines"].append(line)
        invoice["total"] += line[6]

    def forget(cut, last):
        line = next(line for line in last["lines"] if line[0] == "billed_before")
        last["lines"].remove(line)
        last["total"] -= line[6]

    yield other("what a threshold invoice billed is not taken off", forget)
    yield other("it is taken off twice", lambda cut, last: add(last, ["billed_before", None, None, None, 1, 0, -cut["total"]]))
    yield other("a void one is taken off", lambda cut, last: cut.update(void=True))
    yield other("a threshold invoice is below the threshold", lambda cut, last: add(cut, ["discount", None, None, None, 1, 0, -cut["total"] + 10_000]))


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
    wrong, unlike = judge(plans, horizon, partners), judge_cuts(plans, partners)
    for line in [*wrong[:SHOWN], *unlike[:SHOWN]]:
        print(line)
    count = sum(len(partner["invoices"]) for partner in partners)
    cuts = [invoice for partner in partners for invoice in partner["invoices"] if invoice["cut"]]
    void = sum(invoice["void"] for invoice in cuts)
    print(f"{'FAIL' if wrong or not count else 'ok  '} {len(wrong)} of {count} invoices of {len(partners)} partners differ from the oracle's")
    print(
        f"{'FAIL' if unlike or not cuts else 'ok  '} {len(unlike)} of {len(cuts)} threshold invoices, {void} of them void, are below their threshold"
        " or do not add up to one bill with the last of their period"
    )
    sys.exit(1 if wrong or unlike or not count or not cuts else 0)


def control(plans, horizon, partners):
    well = True
    for misread in [*MISREADINGS, "periods-in-utc", *CUT_MISREADINGS]:
        found = judge(plans, horizon, partners, misread)
        well &= bool(found)
        print(f"{'ok  ' if found else 'FAIL'} {len(found)} found where the oracle reads {misread}")
    for what, changed in tampered(partners):
        found = judge(plans, horizon, changed)
        well &= len(found) == 1
        print(f"{'ok  ' if len(found) == 1 else 'FAIL'} {len(found)} found where {what}")
    changes = list(with_other_cuts(partners))
    for what, changed in changes:
        found = judge_cuts(plans, changed)
        well &= bool(found)
        print(f"{'ok  ' if found else 'FAIL'} {len(found)} found by the sums alone where {what}")
    return well and bool(changes)


if __name__ == "__main__":
    main()
