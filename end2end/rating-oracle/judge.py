"""Random plans, rated by the engine and by `bill.py` and `period.py`: every line and every total has to be the same.

    judge.py ENGINE --cases 1000000 --seed 1 --jobs 2
    judge.py ENGINE --cases 20000 --control

With --control each rule is read wrongly in turn, and coins are moved in the engine's answers: each has to be found.
"""

import argparse
import json
import multiprocessing
import random
import subprocess
import sys
import time

from bill import MISREADINGS, TooLarge
from period import bill
from plans import Plans

BATCH = 500
# Differences that are shown.
SHOWN = 5


def expected(case, is_broken, misread):
    if is_broken:
        return "refused"
    try:
        return bill(case, misread)
    except TooLarge:
        return "error"


def differs(answer, wanted):
    """Why the answer is not what was wanted; nothing where it is."""
    if isinstance(wanted, str):
        return None if wanted in answer else f"wanted: {wanted}"
    if "lines" not in answer:
        return "wanted: a bill"
    if sum(line[6] for line in answer["lines"]) != answer["total"]:
        return "its lines do not add up to its total"
    return None if answer == wanted else "lines or total differ"


def rate(job):
    """One process of the engine, and its share of the cases: (cases, refused, too large, models seen, differences)."""
    engine, cases, seed, misread, tamper = job
    dice = random.Random(seed)
    plans = Plans(dice)
    process = subprocess.Popen([engine], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    counted = {"cases": 0, "refused": 0, "too large": 0}
    found, moved = [], 0
    while counted["cases"] < cases:
        batch = [plans.case() for _ in range(min(BATCH, cases - counted["cases"]))]
        process.stdin.write("".join(json.dumps(case) + "\n" for case, _ in batch) + "\n")
        process.stdin.flush()
        for case, is_broken in batch:
            answer = json.loads(process.stdout.readline())
            wanted = expected(case, is_broken, misread)
            counted["cases"] += 1
            counted["refused"] += wanted == "refused"
            counted["too large"] += wanted == "error"
            for name in names(case) if not is_broken else ():
                counted[name] = counted.get(name, 0) + 1
            if tamper and answer.get("lines") and dice.random() < 0.01:
                line = dice.choice(answer["lines"])
                line[6] += 10_000
                answer["total"] += 10_000 if tamper == "line and total" else 0
                moved += 1
            why = differs(answer, wanted)
            if why:
                found.append((why, case, answer, wanted))
    process.stdin.close()
    process.wait()
    return counted, len(found), moved, found[:SHOWN]


def names(case):
    plan = case["plan"]
    yield "units " + plan.get("price", {"model": "free"})["model"]
    yield from ("meters " + priced["price"]["model"] for priced in plan.get("meters", []))
    yield from (name for name in ("minimum", "discounts", "phases", "promotions", "commitment", "included_credit", "fee_due") if name in plan)
    if case["in_trial"]:
        yield "trials"
    if case["coupons"]:
        yield "coupons"
    if case["looks"]:
        yield "threshold invoices"
    if case["late"]:
        yield "late usage"
    if case["calendar"] is not None:
        yield "calendar periods"
    elif case["part"] != case["whole"]:
        yield "parts of a period"


def run(pool, jobs, engine, cases, seed, misread=None, tamper=None):
    shares = [cases // jobs + (index < cases % jobs) for index in range(jobs)]
    work = [(engine, share, seed * 1_000 + index, misread, tamper) for index, share in enumerate(shares) if share]
    counted, differences, moved, shown = {}, 0, 0, []
    for share, found, tampered, some in pool.imap_unordered(rate, work):
        for name, count in share.items():
            counted[name] = counted.get(name, 0) + count
        differences += found
        moved += tampered
        shown += some
    return counted, differences, moved, shown[:SHOWN]


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("engine")
    arguments.add_argument("--cases", type=int, default=1_000_000)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--jobs", type=int, default=2)
    arguments.add_argument("--control", action="store_true")
    asked = arguments.parse_args()
    begin = time.monotonic()
    with multiprocessing.Pool(asked.jobs) as pool:
        rated = lambda **how: run(pool, asked.jobs, asked.engine, asked.cases, asked.seed, **how)
        well = control(rated) if asked.control else compare(rated, asked)
    print(f"{asked.cases} cases{' each' if asked.control else ''}, seed {asked.seed}, {time.monotonic() - begin:.0f} s")
    sys.exit(0 if well else 1)


def compare(rated, asked):
    counted, differences, _, shown = rated()
    for name, count in sorted(counted.items()):
        print(f"    {count:>9} {name}")
    for why, case, answer, wanted in shown:
        print(f"{why}\n  case   {json.dumps(case)}\n  engine {json.dumps(answer)}\n  oracle {json.dumps(wanted)}")
    print(f"{'ok  ' if differences == 0 else 'FAIL'} {differences} differences between the engine and the oracle")
    return differences == 0


def control(rated):
    well = True
    for misread, what in MISREADINGS.items():
        _, differences, _, _ = rated(misread=misread)
        well &= differences > 0
        print(f"{'ok  ' if differences else 'FAIL'} {differences} found where {what}")
    for tamper in ("line", "line and total"):
        _, differences, moved, _ = rated(tamper=tamper)
        well &= differences == moved > 0
        print(f"{'ok  ' if differences == moved > 0 else 'FAIL'} {differences} of {moved} coins found that were moved in a {tamper}")
    return well


if __name__ == "__main__":
    main()
