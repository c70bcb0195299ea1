"""What one bill of a period costs: the plan document read once more, by somebody else, in exact fractions.

Shares no code with the engine and rounds nothing but a line's amount, to the coin, half away from zero. `misread` is a rule that
is read wrongly on purpose: the judge has to find that. What the bills of a period have to do with each other is in `period.py`.
"""

from fractions import Fraction
from math import ceil, floor

MICROS = 1_000_000
# What the engine's amounts and counts can hold at most.
LARGEST_MICROS = 2**63 - 1
LARGEST_COUNT = 2**64 - 1
# ISO 4217: coins in one unit, where they are not a hundred.
COINS = {"JPY": 1}

MISREADINGS = {
    "half-even": "ties are rounded to the even coin",
    "truncated": "amounts are cut off at the coin, and not rounded",
    "step-ends": "a step ends one unit earlier",
    "listed-order": "operations share the curve as they are listed, and not by name",
    "prepaid-billed": "units that prepaid credit paid are rated as well",
    "floor-units": "included units of a part of a period are rounded down",
    "fee-twice": "a fee that was billed in advance is billed at the period's end, too",
    "back-by-itself": "what is given back of a fee is rounded by itself, and not what is left of it",
    "fee-by-the-day": "the fee of a part of a period is by whole days",
    "credit-for-fee": "included credit pays the base fee too",
    "volume-as-graduated": "a volume price is a graduated one",
    "packages-down": "only whole packages are sold",
    "cap-before-fixed": "the cap is for the share alone",
    "product-first": "a product's price counts before its operation's",
    "discount-before-minimum": "discounts do not lower the minimum",
    "discounts-added": "discounts are added up, and not taken one after the other",
    "promise-before-discount": "the commitment is made up to before its discount",
    "whole-step": "a committed-use discount is the reached step's for everything",
    "one-period-more": "discounts hold for one period more",
    "phase-period-more": "each phase holds for one period more",
    "phases-from-the-first": "each phase counts from the plan's first period, and not from the end of the one before",
    "trial-without-phase": "no phase holds in a trial",
    "phase-over-promotion": "where a phase and a promotion replace the same, the phase counts",
    "promotion-by-the-end": "a period has the promotions of the day on which it ends",
    "promotion-in-utc": "promotions begin and end with days in UTC",
    "promotion-without-its-last-day": "a promotion is over on its last day",
    "promotion-before-the-plan": "who comes within a period has the promotions of the day on which it began",
    "offer-price-alone": "what an offer's price includes does not count",
    "offer-all-meters": "an offer that names a meter takes the prices of all others away",
    "trial-fee": "the fee is owed in a trial, too",
    "trial-usage": "usage costs what it always does in a trial",
    "trial-discounts": "the discounts of the first periods hold in a trial, too",
    "trial-minimum": "the minimum and the commitment are owed in a trial whose usage is free",
    "coupon-before-credit": "a coupon is taken off before included credit is",
    "coupons-added": "coupons are added up, and not taken one after the other",
    "coupon-below-zero": "the amount of a coupon is taken off whole, whatever is left",
    "coupon-each-bill": "each bill of a period has the whole amount of a coupon",
    "coupon-period-more": "a coupon holds for one period more",
    "coupon-back-whole": "of a fee that a coupon lowered as much is given back as of a whole one",
    "coupon-in-gaps": "periods in which no bill could have a coupon are among those for which it holds",
    "coupon-before-its-time": "a part of a period that was over before a coupon counted has it, too",
    "coupon-of-the-fee-gone": "what a coupon took off the unused rest of a fee is gone",
    "coupon-of-the-fee-rounded": "what a coupon has again of a fee is rounded to the nearest coin, and not down",
    "threshold-with-minimum": "a threshold invoice has the minimum and the commitment",
    "threshold-by-itself": "a threshold invoice rates by itself what was used since the one before",
    "threshold-takes-coupons": "what coupons take off a threshold invoice is not there for the last one",
    "threshold-in-part": "a threshold invoice has no more included than for the part until a change that was not known yet",
    "threshold-counts-all": "the next threshold invoice comes as soon as all usage of the period comes to the threshold",
    "void-is-billed": "a void threshold invoice is taken off those that follow",
    "void-comes-again": "a void threshold invoice makes the next one come as soon as it did itself",
    "void-comes-later": "a void threshold invoice makes the next one come later by what it came to",
    "void-credit-gone": "what was credited on a void threshold invoice is billed again",
    "late-by-itself": "late units are rated by themselves, and not with those of their period",
    "late-in-full": "late usage has no coupons",
    "late-amount-again": "of an amount late usage has what the period's bills left, and not what its bill took",
    "late-without-a-bill": "late usage of a period without a bill has no coupons",
    "late-amount-each-time": "late usage of a period without a bill has the amount that earlier late usage of it took, too",
    "late-taken-back": "what late usage took of an amount is taken back where other bills took that as well",
    "late-before-others": "late usage of a period without a bill has what other bills of the period took meanwhile, too",
    "calendar-in-utc": "calendar periods are those of UTC, and not of the partner's time zone",
    "calendar-from-the-begin": "the first calendar period begins with the plan, and is a whole one",
    "calendar-fee-whole": "the fee in advance of a calendar's first part is that of the whole period",
    "volume-in-shares": "every step of a volume price ends earlier in a part of a period",
    "commitment-in-shares": "every step of a committed-use discount ends earlier in a part of a period",
}


class TooLarge(Exception):
    """No invoice can hold it."""


class Bill:
    def __init__(self, case, misread):
        self.misread = misread
        self.plan = case["plan"]
        self.coins = COINS.get(self.plan["currency"], 100)
        start, end = case["whole"]
        first, past = max(case["part"][0], start), min(case["part"][1], end)
        self.share = Fraction(1) if (first, past) == (start, end) else Fraction(max(past - first, 0), max(end - start, 1))
        self.number = case["number"]
        trial = self.plan.get("trial") if case.get("in_trial") else None
        gives = trial.get("free", "everything") if trial else None
        self.fee_is_free = gives in ("everything", "base_fee") and misread != "trial-fee"
        self.usage_is_free = gives in ("everything", "usage") and misread != "trial-usage"
        self.is_in_trial = trial is not None
        self.redeemed = [] if case.get("in_trial") else case.get("coupons", [])
        self.used = case["used"]
        self.metered = case["metered"]

    def coin(self, amount):
        """The exact amount in micro-units, rounded once."""
        coins = abs(amount) * self.coins
        if self.misread == "half-even":
            whole = round(coins)
        elif self.misread == "truncated":
            whole = floor(coins)
        else:
            whole = floor(coins + Fraction(1, 2))
        micros = whole * (MICROS // self.coins)
        if micros > LARGEST_MICROS:
            raise TooLarge
        return micros if amount >= 0 else -micros

    def money(self, field, of=None):
        """An amount of the plan for the part, in micro-units."""
        amount = Fraction((of or self.plan).get(field, "0"))
        return amount * MICROS if self.share == 1 else self.coin(amount * self.share)

    def units(self, count):
        """Units of the plan for the part."""
        if self.misread == "floor-units":
            return floor(count * self.share)
        return ceil(count * self.share)

    def fee(self):
        if self.fee_is_free:
            return 0
        if self.misread == "fee-by-the-day" and self.share != 1:
            return self.coin(Fraction(self.plan.get("base_fee", "0")) * floor(self.share * 30) / 30)
        return self.money("base_fee")

    def steps(self, price):
        """(last unit or None, price) of each step."""
        early = 1 if self.misread == "step-ends" else 0
        each = [Fraction(step["unit_price"]) for step in price["steps"]]
        for step, own, following in zip(price["steps"], each, [*each[1:], None]):
            end = step.get("up_to")
            if end is None:
                yield None, own
                continue
            stays = price["model"] == "volume" and following is not None and following <= own
            stays = stays and self.misread != "volume-in-shares"
            yield max((end if stays else self.units(end)) - early, 0), own

    def curve(self, price, units):
        """(exact cost, free units) of the first so many units."""
        model = price["model"]
        if model == "free":
            return Fraction(0), units
        if model == "per_unit":
            included = self.units(price.get("included", 0))
            return max(units - included, 0) * Fraction(price["unit_price"]), min(units, included)
        if model == "package":
            included = self.units(price.get("included", 0))
            packages = Fraction(max(units - included, 0), price["size"])
            packages = floor(packages) if self.misread == "packages-down" else ceil(packages)
            return packages * Fraction(price["package_price"]), min(units, included)
        if model == "volume" and self.misread != "volume-as-graduated":
            each = self.reached(price, units)
            return units * each, 0 if each else units
        cost, free, is_free, begin = Fraction(0), 0, True, 0
        for end, each in self.steps(price):
            inside = max((units if end is None else min(units, end)) - begin, 0)
            cost += inside * each
            is_free = is_free and each == 0
            free += inside if is_free else 0
            begin = begin if end is None else max(begin, end)
        return cost, free

    def reached(self, price, units):
        """A unit's price where there are so many, of a volume price."""
        return next(each for end, each in self.steps(price) if end is None or units <= end)

    def of_units(self):
        price = {"model": "free"} if self.usage_is_free else self.plan.get("price", {"model": "free"})
        sums, paid = {}, {}
        for used in self.used:
            if used["units"] > 0:
                key = (used["product"], used["operation"])
                sums[key] = min(sums.get(key, 0) + used["units"], LARGEST_COUNT)
                paid[key] = min(paid.get(key, 0) + used.get("prepaid", 0), LARGEST_COUNT)
        # What prepaid credit paid is on the line and is not rated.
        paid = {key: 0 if self.misread == "prepaid-billed" else min(paid[key], sums[key]) for key in sums}
        sums = {key: sums[key] - paid[key] for key in sums}
        order = list(sums) if self.misread == "listed-order" else sorted(sums)
        if price["model"] in ("free", "per_unit", "package", "graduated", "volume") and sum(sums.values()) > LARGEST_COUNT:
            raise TooLarge
        lines, before, left = [], 0, self.units(price.get("included", 0)) if price["model"] == "matrix" else 0
        each_of_all = None
        if price["model"] == "volume" and self.misread != "volume-as-graduated":
            each_of_all = self.reached(price, sum(sums.values()))
        for product, operation in order:
            units = sums[product, operation]
            if each_of_all is not None:
                cost, free = units * each_of_all, 0 if each_of_all else units
            elif price["model"] == "matrix":
                free = min(left, units)
                left -= free
                each = self.cell(price, product, operation)
                cost, free = (units - free) * each, units if each == 0 else free
            else:
                (low, free_low), (high, free_high) = self.curve(price, before), self.curve(price, before + units)
                cost, free = high - low, free_high - free_low
                before += units
            lines.append(["usage", product, operation, None, units + paid[product, operation], free, self.coin(cost)])
        return sorted(lines, key=lambda line: (line[1], line[2]))

    def cell(self, price, product, operation):
        def of(wanted):
            found = (c for c in price["cells"] if c["product"] == product and c.get("operation") == wanted)
            return next((Fraction(c["unit_price"]) for c in found), None)

        choices = [of(operation), of(None), Fraction(price["otherwise"])]
        if self.misread == "product-first":
            choices = [choices[1], choices[0], choices[2]]
        return next(choice for choice in choices if choice is not None)

    def of_meters(self):
        for priced in self.plan.get("meters", []):
            key = (priced["product"], priced["meter"])
            own = [used for used in self.metered if (used["product"], used["meter"]) == key]
            quantity = min(sum(used["quantity"] for used in own), LARGEST_COUNT)
            calls = min(sum(used["calls"] for used in own), LARGEST_COUNT)
            price = {"model": "free"} if self.usage_is_free else priced["price"]
            if price["model"] == "percentage":
                if quantity == 0 and calls == 0:
                    continue
                cost, free = self.percentage(price, quantity, calls)
            elif quantity == 0:
                continue
            else:
                cost, free = self.curve(price, quantity)
            yield ["meter", *key[:1], None, key[1], quantity, free, self.coin(cost)]

    def percentage(self, price, quantity, calls):
        included = self.units(price.get("included", 0))
        value = max(quantity - included, 0) * Fraction(price["unit_value"])
        share, fixed = value * Fraction(price["percent"]) / 100, calls * Fraction(price.get("fixed", "0"))
        cost = share + fixed
        if price.get("cap") is not None:
            cap = Fraction(self.money("cap", price), MICROS)
            cost = min(share, cap) + fixed if self.misread == "cap-before-fixed" else min(cost, cap)
        return cost, min(included, quantity)

    def discounts(self, fee, usage):
        """Lines; then what is left of fee and usage."""
        lines, first_fee, first_usage = [], fee, usage
        late = 1 if self.misread == "one-period-more" else 0
        for discount in self.plan.get("discounts", []):
            if discount.get("periods") is not None and self.number >= discount["periods"] + late:
                continue
            if discount.get("periods") is not None and self.is_in_trial and self.misread != "trial-discounts":
                continue
            percent, on = Fraction(discount["percent"]), discount.get("on", "everything")
            added = self.misread == "discounts-added"
            if on in ("everything", "base_fee"):
                off = self.coin(Fraction(first_fee if added else fee, MICROS) * percent / 100)
                fee -= off
                lines.append(["discount", None, None, None, 1, 0, -off])
            if on in ("everything", "usage"):
                off = self.coin(Fraction(first_usage if added else usage, MICROS) * percent / 100)
                usage -= off
                lines.append(["discount", None, None, None, 1, 0, -off])
        return [line for line in lines if line[6] != 0], fee, usage

    def committed(self, commitment, usage):
        """What the discount for a promise takes off."""
        off, begin = Fraction(0), 0
        steps = commitment.get("discounts", [])
        for index, step in enumerate(steps):
            percent = Fraction(step["percent"]) / 100
            end = None
            if step.get("up_to") is not None:
                is_worse_after = Fraction(steps[index + 1]["percent"]) / 100 < percent
                in_shares = is_worse_after or self.misread == "commitment-in-shares"
                end = self.money("up_to", step) if in_shares else Fraction(step["up_to"]) * MICROS
            if self.misread == "whole-step":
                off = usage * percent
                if end is None or usage <= end:
                    break
                continue
            inside = max((usage if end is None else min(usage, end)) - begin, 0)
            off += inside * percent
            begin = begin if end is None else max(begin, end)
        return self.coin(off / MICROS)

    def counting(self):
        """The coupons that lower the bill, in their order."""
        late = 1 if self.misread == "coupon-period-more" else 0
        for own in self.redeemed:
            coupon, most = own["coupon"], own["coupon"].get("periods")
            is_over = most is not None and (own["number"] >= most + late or own["others"] >= most + late)
            if not is_over and coupon.get("currency") in (None, self.plan["currency"]):
                yield own

    def coupons(self, total):
        """What each that counts takes off so much."""
        first, all_taken = total, []
        for own in self.counting():
            coupon = own["coupon"]
            base = first if self.misread == "coupons-added" else total
            if "percent" in coupon:
                off = self.coin(Fraction(max(base, 0), MICROS) * Fraction(coupon["percent"]) / 100)
            else:
                off = own["left"] if "left" in own else Fraction(coupon["amount"]) * MICROS
                if "left" not in own and self.misread != "coupon-each-bill":
                    off = max(off - own["taken"], 0)
                off = off if self.misread == "coupon-below-zero" else min(off, max(base, 0))
            total -= int(off)
            all_taken.append(int(off))
        return all_taken

    def net_fee(self):
        """The fee less the discounts on it."""
        return int(self.discounts(self.fee(), 0)[1])

    def lines(self):
        """[kind, product, operation, meter, quantity, free, micros] each, and their sum; what coupons took is in `taken`."""
        fee = self.fee()
        if self.plan.get("fee_due") == "advance" and self.misread != "fee-twice":
            fee = 0
        lines = [["base_fee", None, None, None, 1, 0, fee]] if Fraction(fee) else []
        of_usage = [*self.of_units(), *self.of_meters()]
        usage = self.sum(of_usage)
        owes_nothing = self.usage_is_free and self.misread != "trial-minimum"
        minimum = 0 if owes_nothing else self.money("minimum")
        early = self.misread == "discount-before-minimum"
        missing = max(minimum - usage, 0)
        if missing and not early:
            of_usage.append(["minimum", None, None, None, 1, 0, missing])
            usage += missing
        lines += of_usage
        off, left_fee, usage = self.discounts(fee, usage)
        lines += off
        if early and minimum > usage:
            lines.append(["minimum", None, None, None, 1, 0, minimum - usage])
            usage = minimum
        commitment = None if owes_nothing else self.plan.get("commitment")
        if commitment:
            promised, back = self.money("amount", commitment), self.committed(commitment, usage)
            if back:
                lines.append(["committed_use", None, None, None, 1, 0, -back])
            kept = usage if self.misread == "promise-before-discount" else usage - back
            missing = max(promised - kept, 0)
            if missing:
                lines.append(["commitment", None, None, None, 1, 0, missing])
            usage = usage - back + missing
        payable = usage + left_fee if self.misread == "credit-for-fee" else usage
        credit = min(self.money("included_credit"), payable)
        before = int(self.sum(lines)) if self.misread == "coupon-before-credit" else None
        if credit > 0:
            lines.append(["included_credit", None, None, None, 1, 0, -credit])
        left = int(self.sum(lines)) if before is None else before
        self.taken = self.coupons(left)
        lines += [["discount", None, None, None, 1, 0, -off] for off in self.taken if off]
        total = self.sum(lines)
        return [[*line[:6], int(line[6])] for line in lines], int(total)

    @staticmethod
    def sum(lines):
        total = 0
        for line in lines:
            total += line[6]
            if abs(total) > LARGEST_MICROS:
                raise TooLarge
        return total
