"""All bills of one billing period, and what comes late for it: how they share coupons, and how the last one makes up for the others."""

from fractions import Fraction
from math import floor

from bill import LARGEST_MICROS, MICROS, Bill, TooLarge
from cycle import Cycle, calendar_period
from offers import in_force

LARGEST_INSTANT = 2**60


def bill(case, misread=None):
    """The bills, as the engine answers; see `Period`."""
    return Period(case, misread).bills()


class Period:
    """`lines` and `total` of the bill at the end. `ahead`, where the fee is in advance: what of it is paid, what is given back where the
    plan ends with the part, and what each coupon has again. `cuts`, where the plan has a threshold: the total of each threshold
    invoice; `rest` is what the last invoice comes to then. `late`: what it costs more each time, and what coupons take of that where
    the period had no bill.
    """

    def __init__(self, case, misread):
        self.misread = misread
        self.plan = case["plan"]
        if case.get("calendar") is not None:
            whole = self.calendar(case["calendar"], case["cycle"])
            case = {**case, "whole": whole, "part": [case["calendar"], min(case["part"][1], whole[1])]}
        case = {**case, "plan": in_force(case, misread)}
        self.plan = case["plan"]
        self.case = case
        self.whole, self.part = case["whole"], case["part"]
        cycle = case.get("cycle") and Cycle(self.whole[0], case["cycle"]["interval"], case["cycle"]["zone"])
        self.coupons = [{**own, "number": self.number(own, cycle)} for own in case.get("coupons", [])]
        # What bills of the period took of each.
        self.taken = [own["taken"] for own in self.coupons]

    def calendar(self, at, cycle):
        """The whole period of a plan that begins then, and has a part of it."""
        zone = "UTC" if self.misread == "calendar-in-utc" else cycle["zone"]
        if self.misread == "calendar-from-the-begin":
            begun = Cycle(at, cycle["interval"], zone)
            return [begun.start(0), begun.start(1)]
        return calendar_period(at, cycle["interval"], zone)

    def number(self, own, cycle):
        """How many periods before this one the coupon has counted in."""
        begin, counted = self.whole[0], set()
        stretches = own["stretches"]
        if self.misread == "coupon-in-gaps":
            stretches = [[start, begin] for start, _ in stretches[:1]]
        for start, end in stretches:
            end = min(LARGEST_INSTANT if end is None else end, begin)
            if start < end:
                counted.update(range(cycle.number(start), cycle.number(end - 1) + 1))
        return len(counted)

    def rated(self, part, coupons=None, plan=None, **used):
        """A bill of the part; without other coupons with those that there are for it."""
        if coupons is None:
            coupons = self.there(part)
        made = Bill({**self.case, "plan": plan or self.plan, "part": part, "coupons": coupons, **used}, self.misread)
        made.made = made.lines()
        return made

    def there(self, part):
        """The coupons that count by the end of the part, with what there is of them."""
        is_early = self.misread == "coupon-before-its-time"
        all_there = zip(self.coupons, self.taken, range(len(self.coupons)), strict=True)
        return [
            {**own, "taken": taken, "index": index}
            for own, taken, index in all_there
            if own["stretches"] and (part[1] > own["stretches"][0][0] or is_early)
        ]

    def bills(self):
        answer, again = {}, []
        is_cut = "invoice_threshold" in self.plan and "looks" in self.case
        if self.plan.get("fee_due") == "advance":
            answer["ahead"], again = self.ahead()
        if is_cut:
            answer["cuts"], taken_off = self.cuts()
        # The plan's end is known now.
        for index, micros in again:
            self.taken[index] -= micros
        closing = self.rated(self.part)
        answer["lines"], answer["total"] = closing.made
        if is_cut:
            answer["rest"] = difference(answer["total"], taken_off)
        if self.case.get("late"):
            has_bill = bool(answer["lines"]) or bool(answer.get("cuts") and self.is_billed)
            answer["late"] = self.late_billed(closing) if has_bill else self.late_alone()
        return answer

    def ahead(self):
        """The fee of the period when it begins, of a calendar's first one of its part, and what of it is given back where the plan ends with
        the part.
        """
        start, end = self.whole
        if self.case.get("calendar") is not None and self.misread != "calendar-fee-whole":
            start = self.case["calendar"]
        until = min(max(self.part[1], start), end)
        full = Bill({**self.case, "part": [start, end], "coupons": self.there([start, end])}, self.misread)
        fee = full.net_fee()
        taken = full.coupons(fee)
        paid = fee - sum(taken)
        ran = Bill({**self.case, "part": [start, until]}, self.misread).net_fee()
        gross = max(fee - ran, 0)
        back = gross
        if self.misread == "back-by-itself":
            back = full.coin(Fraction(paid, MICROS) * Fraction(end - until, max(end - start, 1)))
        elif paid != fee and fee > 0 and self.misread != "coupon-back-whole":
            back = full.coin(Fraction(gross, MICROS) * Fraction(paid, fee))
        # Of what is unused, what was never paid goes back to the coupons, to each its part in whole coins.
        again, coin = [], MICROS // full.coins
        for own, micros in zip(full.counting(), taken, strict=True):
            share = Fraction(max(gross - back, 0) * micros, sum(taken) * coin) if sum(taken) > 0 else 0
            coins = floor(share + Fraction(1, 2)) if self.misread == "coupon-of-the-fee-rounded" else floor(share)
            again.append((own["index"], min(coins * coin, micros)))
            self.taken[own["index"]] += micros
        told = [paid, back, [micros for _, micros in again]]
        return told, [] if self.misread == "coupon-of-the-fee-gone" else again

    def cuts(self):
        """Totals of threshold invoices, and what the invoices after them take off: what stands, and of void ones what was credited."""
        usage = {**self.plan, "base_fee": "0", "minimum": "0"}
        if "commitment" in usage:
            usage["commitment"] = {**usage["commitment"], "amount": "0"}
        if self.misread == "threshold-with-minimum":
            usage = {**self.plan, "base_fee": "0"}
        # Whatever ends the plan within the period is not known.
        part = [self.part[0], self.whole[1]] if self.misread != "threshold-in-part" else self.part
        threshold = int(Fraction(self.plan["invoice_threshold"]) * MICROS)
        totals, taken_off, billed, at_last, known = [], 0, 0, 0, []
        self.is_billed = False
        for look in self.case["looks"]:
            used = moved(look["used"], known) if self.misread == "threshold-by-itself" else look["used"]
            made = self.rated(part, plan=usage, used=used, metered=look["metered"])
            total = made.made[1]
            if self.misread == "threshold-by-itself":
                total += taken_off
            before = {"threshold-counts-all": 0, "void-comes-later": billed}.get(self.misread, at_last)
            if total - before < threshold:
                continue
            own = difference(total, taken_off)
            totals.append(own)
            billed += own
            if not look["void"] or self.misread != "void-comes-again":
                at_last = total
            off = own
            if look["void"] and self.misread != "void-is-billed":
                off = max(own, 0) // 100 * look["credited"] if self.misread != "void-credit-gone" else 0
            taken_off += off
            self.is_billed |= not look["void"] or off != 0
            if self.misread == "threshold-takes-coupons":
                for coupon, micros in zip(made.counting(), made.taken, strict=True):
                    self.taken[coupon["index"]] += micros
            known = [{**one, "units": -one["units"], "prepaid": -one.get("prepaid", 0)} for one in look["used"]]
        return totals, taken_off

    def late_billed(self, closing):
        """What comes late for a bill that there was: percentages, and of amounts what it took."""
        if self.misread == "late-in-full":
            coupons = []
        elif self.misread == "late-amount-again":
            coupons = list(closing.counting())
        else:
            coupons = [{**own, "left": taken} for own, taken in zip(closing.counting(), closing.taken, strict=True)]
        used, more = self.case["used"], []
        for late in self.case["late"]:
            before, used = used, moved(used, late["moved"])
            more.append([self.costs_more(late, (before, coupons), (used, coupons))[0]])
        return more

    def late_alone(self):
        """What comes late where nothing was owed: of amounts, what the other bills of the period leave."""
        there = [] if self.misread in ("late-in-full", "late-without-a-bill") else self.there(self.part)
        counting = list(Bill({**self.case, "coupons": there}, self.misread).counting())
        own_taken = [0] * len(self.coupons)
        used, more = self.case["used"], []
        for late in self.case["late"]:
            was, now = [], []
            for own in counting:
                index = own["index"]
                if self.misread != "late-before-others":
                    self.taken[index] += late["meanwhile"][index]
                amount = int(Fraction(own["coupon"].get("amount", "0")) * MICROS)
                earlier = max(own_taken[index], 0)
                was.append({**own, "left": 0 if self.misread == "late-amount-each-time" else earlier})
                # What was taken too often once stays given.
                least = 0 if self.misread == "late-taken-back" else earlier
                now.append({**own, "left": max(amount - max(self.taken[index], 0), least)})
            before, used = used, moved(used, late["moved"])
            costs, taken = self.costs_more(late, (before, was), (used, now))
            for own, micros in zip(counting, taken, strict=True):
                own_taken[own["index"]] += micros
            more.append([costs, taken])
        return more

    def costs_more(self, late, before, after):
        """What the part costs more with what came late, and what coupons take of that."""
        (used_before, coupons_before), (used_after, coupons_after) = before, after
        if self.misread == "late-by-itself":
            used_before, used_after = [], [one for one in late["moved"] if one["units"] > 0]
        was = self.rated(self.part, coupons_before, used=used_before)
        now = self.rated(self.part, coupons_after, used=used_after)
        taken = [after - before for after, before in zip(now.taken, was.taken, strict=True)]
        return difference(now.made[1], was.made[1]), taken


def difference(after, before):
    if abs(after - before) > LARGEST_MICROS:
        raise TooLarge
    return after - before


def moved(used, by):
    """What was used, with what came late and less what was taken back; nothing falls below zero."""
    sums = {}
    for one in [*used, *by]:
        sums.setdefault((one["product"], one["operation"]), []).append((one["units"], one.get("prepaid", 0)))
    units = {key: (max(sum(own for own, _ in each), 0), max(sum(paid for _, paid in each), 0)) for key, each in sums.items()}
    return [
        {"product": product, "operation": operation, "units": own, "prepaid": min(paid, own)}
        for (product, operation), (own, paid) in units.items()
    ]
