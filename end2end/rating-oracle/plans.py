"""Random plans and what was used under them, leaning to the edges: ends of steps, halves of a coin, nothing at all."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from cycle import DAYS, MONTHS, calendar_period

CURRENCIES = ["USD", "EUR", "GBP", "CHF", "NZD", "JPY"]
# As people write prices, and some whose parts are halves of a coin.
PRICES = ["0", "0.005", "0.0005", "0.015", "0.01", "0.008", "0.002", "1", "0.125", "0.00000125", "2.50", "0.333", "19.99"]
PERCENTS = ["0", "10", "2.9", "50", "100", "12.5", "0.1", "33.333333", "15"]
PRODUCTS = ["payments", "reports", "kyc"]
OPERATIONS = ["create", "list", "refund", "search", "a", "zz"]
METERS = ["tokens", "paid", "seats"]
ZONES = ["UTC", "Pacific/Auckland", "America/New_York", "Asia/Kolkata"]
UNITS = [0, 1, 10, 99, 1_000, 50_000, 100_000, 650_000]


class Plans:
    """Cases from one `random.Random`."""

    def __init__(self, random):
        self.random = random
        self.ends = []

    def case(self):
        self.ends = []
        plan = self.plan()
        # Where nothing is owed there is no bill.
        is_quiet = self.chance(0.12)
        if is_quiet:
            plan["base_fee"] = "0"
            for owed in ("minimum", "commitment"):
                plan.pop(owed, None)
        used = [self.used() for _ in range(self.random.choice([0, 1, 1, 2, 3, 6]))] if not is_quiet else []
        metered = [self.metered(priced) for priced in plan.get("meters", []) for _ in range(self.random.choice([0, 1, 1, 2]))]
        metered = metered if not is_quiet else []
        if self.random.random() < 0.2:
            metered.append({"product": "payments", "meter": "unpriced", "quantity": 12, "calls": 3})
        is_huge = self.random.random() < 0.005
        if is_huge:
            for use in used:
                use["units"] = self.random.choice([2**64 - 1, 2**63, 10**15])
        cycle = {"interval": self.random.choice([*DAYS, *MONTHS, "month", "month"]), "zone": self.random.choice(ZONES)}
        calendar = self.begin(cycle) if "trial" not in plan and self.chance(0.2) else None
        whole, part = self.periods() if calendar is None else self.first_part(calendar, cycle)
        number = self.random.choice([0, 0, 1, 2, 3, 11, 12, 60])
        in_trial = "trial" in plan and self.chance(0.7)
        is_shared = is_quiet or "fee_due" in plan
        coupons = [self.coupon(plan, cycle, whole, part, is_shared) for _ in range(self.random.choice([1, 2, 3] if is_shared else [0, 0, 1, 1, 2, 3]))]
        looks = self.looks(used, metered) if "invoice_threshold" in plan and not is_huge else []
        late = [self.late(used, coupons) for _ in range(self.random.choice([1, 2, 2] if is_quiet else [0, 0, 0, 1, 2]))] if not is_huge else []
        since = self.since(whole) if calendar is None else calendar
        if not is_quiet or self.chance(0.3):
            self.offers(plan, whole, since, cycle["zone"])
        case = {"plan": plan, "number": number, "in_trial": in_trial, "since": since, "cycle": cycle, "coupons": coupons, "whole": whole, "part": part}
        if calendar is not None:
            plan["periods"] = "calendar"
        # Which period it is both find out by themselves.
        case |= {"calendar": calendar} | ({"whole": None} if calendar is not None else {})
        case |= {"used": used, "metered": metered, "looks": looks, "late": late}
        return self.broken(case) if self.random.random() < 0.01 else (case, False)

    def looks(self, used, metered):
        """What is known of the usage at each hour at which it is looked whether it comes to the threshold."""
        count, looks = self.random.randint(1, 5), []
        # Some see as much as the one before.
        for look in sorted(self.random.randint(1, count) for _ in range(count)):
            part = lambda many: many * look // (count + 1)
            looks.append({
                "used": [{**use, "units": part(use["units"]), "prepaid": part(use.get("prepaid", 0))} for use in used],
                "metered": [{**one, "quantity": part(one["quantity"]), "calls": part(one["calls"])} for one in metered],
                "void": self.chance(0.45),
                "credited": self.random.choice([0, 0, 30, 100]),
            })
        return looks

    def late(self, used, coupons):
        """Units that come late or are taken back, and what other bills of the period take of coupons until they are billed."""
        moved = []
        for _ in range(self.random.choice([1, 1, 2])):
            if used and self.chance(0.6):
                of = self.random.choice(used)
                back = self.chance(0.4) and of["units"] > 0
                units = -self.random.randint(1, of["units"]) if back else self.near()
                moved.append({"product": of["product"], "operation": of["operation"], "units": units, "prepaid": 0})
            else:
                moved.append({"prepaid": 0, **self.used()})
        meanwhile = [self.random.choice([0, 0, 0, self.random.randint(1, 500) * self.coin]) for _ in coupons]
        return {"moved": moved, "meanwhile": meanwhile}

    def stretches(self, cycle, whole, part):
        """When a coupon counts: since it was redeemed, while its partner had plans that it can lower."""
        random, start = self.random, whole[0]
        length = (DAYS.get(cycle["interval"]) or 30 * MONTHS[cycle["interval"]]) * 86_400
        ago = lambda periods: start - random.randint(0, periods * length)
        if self.chance(0.35):
            return [[random.choice([start, ago(4)]), None]]
        if self.chance(0.3):
            # It is redeemed in this period, maybe after the part that is billed.
            return [[random.choice([start, part[0], part[1], random.randint(*whole)]), None]]
        ends = sorted(random.choice([start, ago(6), ago(6), ago(6)]) for _ in range(random.choice([2, 4, 4, 6])))
        stretches = [[begin, end] for begin, end in zip(ends[::2], ends[1::2], strict=True) if begin < end]
        if stretches and self.chance(0.7):
            stretches.append([start, None] if self.chance(0.5) else [max(stretches[-1][1], ago(1)), None])
        return stretches

    def since(self, whole):
        """When the partner came to the plan: long ago, as the period began, or within it."""
        start, end = whole
        return self.random.choice([start, start - self.random.randint(0, 10**8), self.random.randint(start, end - 1)])

    def offers(self, plan, whole, since, zone):
        """Phases and promotions, these from and to days beside those on which something begins or ends."""
        random, kinds = self.random, self.kinds(plan)
        if self.chance(0.3):
            plan["phases"] = [
                {"name": f"Phase {index}", "periods": random.choice([1, 1, 2, 3, 12]), "instead": self.instead(plan, random.sample(kinds, random.choice([1, 1, 2])))}
                for index in range(random.choice([1, 1, 2, 3]))
            ]
        if not self.chance(0.35):
            return
        edges = [datetime.fromtimestamp(at, UTC).astimezone(ZoneInfo(zone)).date() for at in (whole[0], whole[0], whole[1], since)]
        near = lambda: random.choice(edges) + timedelta(days=random.choice([-1, 0, 0, 0, 1, -20, 20, 400]))
        taken, promotions = [], []
        for index in range(random.choice([1, 1, 2, 3])):
            first, last = sorted([near(), near()])
            promotion = {"name": f"Promotion {index}", "until": last.isoformat()}
            if self.chance(0.8):
                promotion["from"] = first.isoformat()
            begin = promotion.get("from", "")
            meets = lambda other: begin <= other[2] and other[1] <= promotion["until"]
            free = [kind for kind in kinds if not any(kind == other[0] and meets(other) for other in taken)]
            if not free:
                continue
            chosen = random.sample(free, min(len(free), random.choice([1, 1, 2])))
            taken += [(kind, begin, promotion["until"]) for kind in chosen]
            promotions.append({**promotion, "instead": self.instead(plan, chosen)})
        if promotions:
            plan["promotions"] = promotions

    def kinds(self, plan):
        """What offers can replace: fields, and meters by product and code."""
        meters = [(one["product"], one["meter"]) for one in plan.get("meters", [])]
        return ["base_fee", "base_fee", "price", "price", "minimum", "included_credit", *meters]

    def instead(self, plan, kinds):
        instead = {}
        for kind in kinds:
            if kind == "price":
                instead["price"] = self.price(["free", "per_unit", "graduated", "volume", "package", "matrix"])
            elif kind in ("base_fee", "minimum", "included_credit"):
                instead[kind] = self.amount(1_000)
            else:
                price = self.price(["free", "per_unit", "graduated", "volume", "package", "percentage"])
                instead.setdefault("meters", []).append({"product": kind[0], "meter": kind[1], "price": price})
        return instead

    def chance(self, of):
        return self.random.random() < of

    def plan(self):
        random = self.random
        plan = {
            "name": "Random",
            "currency": random.choice(CURRENCIES),
            "products": [{"product": product} for product in PRODUCTS],
            "base_fee": "0",
        }
        self.decimals = 0 if plan["currency"] == "JPY" else 2
        self.coin = 10 ** (6 - self.decimals)
        if self.chance(0.7):
            plan["base_fee"] = self.amount(1_000)
        if self.chance(0.4):
            plan["fee_due"] = self.random.choice(["advance", "advance", "advance", "arrears"])
            plan["base_fee"] = self.amount(self.random.choice([1, 1_000, 1_000]))
        if self.chance(0.3):
            plan["included_credit"] = self.amount(1_000)
        if self.chance(0.95):
            plan["price"] = self.price(["free", "per_unit", "graduated", "volume", "package", "matrix"])
        if self.chance(0.4):
            kinds = ["free", "per_unit", "graduated", "volume", "package", "percentage", "percentage"]
            chosen = random.sample([(product, meter) for product in PRODUCTS for meter in METERS], random.randint(1, 3))
            plan["meters"] = [{"product": p, "meter": m, "price": self.price(kinds)} for p, m in chosen]
        if self.chance(0.25):
            plan["minimum"] = self.amount(6_000)
        if self.chance(0.35):
            plan["invoice_threshold"] = self.amount(random.choice([1, 5, 20, 500]), least=1)
        if self.chance(0.6 if "fee_due" in plan else 0.3):
            plan["discounts"] = [self.discount(index) for index in range(random.randint(1, 3))]
        if self.chance(0.25):
            plan["commitment"] = self.commitment()
        if self.chance(0.3):
            plan["trial"] = {"days": random.choice([1, 7, 14, 30, 366])}
            if self.chance(0.7):
                plan["trial"]["free"] = random.choice(["everything", "base_fee", "usage"])
            if self.chance(0.3):
                plan["trial"]["quota"] = {"units": self.count(), "beyond": random.choice(["block", "bill", "warn"])}
        return plan

    def amount(self, most, least=0):
        """Whole coins."""
        coins = self.random.choice([self.random.randint(least, most * 10**self.decimals), most * 10**self.decimals])
        return str(Decimal(coins).scaleb(-self.decimals))

    def unit_price(self):
        if self.chance(0.6):
            return self.random.choice(PRICES)
        scale = self.random.choice([0, 2, 3, 4, 6, 12])
        return format(Decimal(self.random.randint(0, 10**scale * 2)).scaleb(-scale), "f")

    def percent(self):
        if self.chance(0.7):
            return self.random.choice(PERCENTS)
        return format(Decimal(self.random.randint(0, 10**8)).scaleb(-6), "f")

    def count(self):
        count = self.random.choice(UNITS) if self.chance(0.5) else self.random.randint(0, 10 ** self.random.randint(1, 7))
        self.ends.append(count)
        return count

    def price(self, models):
        model = self.random.choice(models)
        price = {"model": model}
        if model in ("per_unit", "package", "matrix", "percentage") and self.chance(0.7):
            price["included"] = self.count()
        if model == "per_unit":
            price["unit_price"] = self.unit_price()
        elif model in ("graduated", "volume"):
            ends = sorted({self.count() + 1 for _ in range(self.random.randint(0, 4))})
            self.ends += ends
            price["steps"] = [{"up_to": end, "unit_price": self.unit_price()} for end in ends]
            price["steps"].append({"unit_price": self.unit_price()})
        elif model == "package":
            price["size"] = self.random.choice([1, 2, 7, 100, 1_000, 10_000, 999_999])
            price["package_price"] = self.unit_price()
            self.ends.append(price.get("included", 0) + price["size"])
        elif model == "matrix":
            places = {(self.random.choice(PRODUCTS), self.random.choice([*OPERATIONS, None])) for _ in range(4)}
            price["cells"] = []
            for product, operation in sorted(places, key=str):
                cell = {"product": product, "unit_price": self.unit_price()}
                if operation is not None:
                    cell["operation"] = operation
                price["cells"].append(cell)
            price["otherwise"] = self.unit_price()
        elif model == "percentage":
            price["unit_value"] = self.random.choice(["0.01", "1", "0.000001", "0", "0.5"])
            price["percent"] = self.percent()
            if self.chance(0.6):
                price["fixed"] = self.random.choice(["0.30", "0.005", "0", "0.000001"])
            if self.chance(0.5):
                price["cap"] = self.amount(500)
        return price

    def discount(self, index):
        discount = {"name": f"Offer {index}", "percent": self.percent()}
        if self.chance(0.8):
            discount["on"] = self.random.choice(["everything", "base_fee", "usage"])
        if self.chance(0.6):
            discount["periods"] = self.random.choice([1, 2, 3, 12])
        return discount

    def coupon(self, plan, cycle, whole, part, is_shared):
        """A coupon as a bill of its partner sees it; more often an amount where that has to be shared."""
        random, coupon = self.random, {"name": "Thanks"}
        taken = 0
        if self.chance(0.3 if is_shared else 0.5):
            coupon["percent"] = next(percent for percent in iter(self.percent, None) if Decimal(percent) > 0)
        else:
            coupon["amount"] = self.amount(random.choice([1, 5, 100, 2_000] if "fee_due" in plan else [5, 100, 2_000, 50_000]), least=1)
            coupon["currency"] = plan["currency"] if self.chance(0.95) else random.choice(CURRENCIES)
            if coupon["currency"] == "JPY":
                coupon["amount"] = str(int(Decimal(coupon["amount"])) + 1)
            if self.chance(0.15 if is_shared else 0.3):
                coin = 10 ** (6 if coupon["currency"] == "JPY" else 4)
                taken = random.choice([coin, int(Decimal(coupon["amount"]) * 10**6), int(Decimal(coupon["amount"]) * 10**6) // 2 // coin * coin])
        if self.chance(0.6):
            coupon["periods"] = random.choice([1, 2, 3, 12])
        if self.chance(0.2):
            coupon["plans"] = ["pro"]
        return {"coupon": coupon, "stretches": self.stretches(cycle, whole, part), "taken": taken, "others": random.choice([0, 0, 0, 1, 2])}

    def commitment(self):
        commitment = {"amount": self.amount(8_000, least=1)}
        if self.chance(0.8):
            ends = sorted({Decimal(self.amount(9_000, least=1)) for _ in range(self.random.randint(0, 3))})
            steps = [{"up_to": str(end), "percent": self.percent()} for end in ends]
            commitment["discounts"] = [*steps, {"percent": self.percent()}]
        return commitment

    def near(self):
        """A count of units at or beside something that ends."""
        if self.ends and self.chance(0.5):
            return max(self.random.choice(self.ends) + self.random.choice([-1, 0, 0, 1]), 0)
        return self.random.choice(UNITS) if self.chance(0.3) else self.random.randint(0, 10 ** self.random.randint(1, 7))

    def used(self):
        product, operation = self.random.choice(PRODUCTS), self.random.choice(OPERATIONS)
        use = {"product": product, "operation": operation, "units": self.near()}
        if self.random.random() < 0.25:
            use["prepaid"] = self.random.choice([use["units"], self.random.randint(0, use["units"])])
        return use

    def metered(self, priced):
        calls = self.random.choice([0, 1, 40, self.random.randint(0, 100_000)])
        return {"product": priced["product"], "meter": priced["meter"], "quantity": self.near(), "calls": calls}

    def periods(self):
        """A whole period and the part of it that is billed, in seconds; half of the parts are the whole."""
        random = self.random
        start = random.randint(1_500_000_000, 2_000_000_000)
        length = random.choice([28, 29, 30, 31, 31, 30, 365, 1]) * 86_400 + random.choice([0, 0, 0, 3_600, -3_600])
        whole = [start, start + length]
        if self.chance(0.5):
            return whole, whole
        # Half of an odd fee is a tie.
        cuts = sorted(start + random.choice([0, length, length // 2, random.randint(0, length)]) for _ in range(2))
        if self.chance(0.02):
            cuts[1] += length
        return whole, cuts

    def begin(self, cycle):
        """When a plan with calendar periods begins, leaning to their edges and to the hours in which clocks change."""
        random = self.random
        at = random.randint(1_500_000_000, 2_000_000_000)
        start, end = calendar_period(at, cycle["interval"], cycle["zone"])
        return random.choice([at, at, at, start, start + 1, end - 1, end - random.randint(1, 7_200)])

    def first_part(self, begin, cycle):
        whole = calendar_period(begin, cycle["interval"], cycle["zone"])
        end = whole[1] if self.chance(0.7) else self.random.randint(begin, whole[1])
        return whole, [begin, end]

    def broken(self, case):
        """The case with one thing that no plan may have, and that it has to be refused."""
        plan = case["plan"]
        breaks = [
            lambda: plan.update(base_fee="-1"),
            lambda: plan.update(base_fee="0.001"),
            lambda: plan.update(minimum="-1"),
            lambda: plan.update(fee_due="sometimes"),
            lambda: plan.update(currency="XXX"),
            lambda: plan.update(surprise=1),
            lambda: plan.update(price={"model": "per_unit", "unit_price": "-0.01"}),
            lambda: plan.update(price={"model": "per_unit", "unit_price": "0.0000000000001"}),
            lambda: plan.update(price={"model": "graduated", "steps": [{"up_to": 5, "unit_price": "1"}]}),
            lambda: plan.update(price={"model": "volume", "steps": []}),
            lambda: plan.update(
                price={"model": "volume", "steps": [{"up_to": 5, "unit_price": "1"}, {"up_to": 5, "unit_price": "1"}, {"unit_price": "1"}]}
            ),
            lambda: plan.update(price={"model": "package", "size": 0, "package_price": "1"}),
            lambda: plan.update(price={"model": "percentage", "unit_value": "1", "percent": "1"}),
            lambda: plan.update(price={"model": "matrix", "cells": [{"product": "other", "unit_price": "1"}], "otherwise": "1"}),
            lambda: plan.update(discounts=[{"name": "Too much", "percent": "100.1"}]),
            lambda: plan.update(discounts=[{"name": "Never", "percent": "1", "periods": 0}]),
            lambda: plan.update(commitment={"amount": "0"}),
            lambda: case.update(coupons=[{"coupon": {"name": "Both", "percent": "5", "amount": "5", "currency": "USD"}, "stretches": [], "taken": 0, "others": 0}]),
            lambda: case.update(coupons=[{"coupon": {"name": "Neither"}, "stretches": [], "taken": 0, "others": 0}]),
            lambda: case.update(coupons=[{"coupon": {"name": "Never", "percent": "5", "periods": 0}, "stretches": [], "taken": 0, "others": 0}]),
            lambda: plan.update(periods="lunar"),
            lambda: plan.update(periods="calendar", trial={"days": 14}),
            lambda: plan.update(phases=[{"name": "Ramp", "periods": 0, "instead": {"base_fee": "1"}}]),
            lambda: plan.update(phases=[{"name": "Ramp", "periods": 1, "instead": {}}]),
            lambda: plan.update(phases=[{"name": "Ramp", "periods": 1, "instead": {"minimum": "-1"}}]),
            lambda: plan.update(phases=[{"name": "Ramp", "periods": 1, "instead": {"quota": 1}}]),
            lambda: plan.update(promotions=[{"name": "Launch", "instead": {"base_fee": "1"}}]),
            lambda: plan.update(promotions=[{"name": "Launch", "until": "2027-02-30", "instead": {"base_fee": "1"}}]),
            lambda: plan.update(promotions=[{"name": "Launch", "from": "2027-02-02", "until": "2027-02-01", "instead": {"base_fee": "1"}}]),
            lambda: plan.update(promotions=[{"name": name, "until": "2027-02-02", "instead": {"base_fee": "1"}} for name in "AB"]),
            lambda: plan.update(trial={"days": 0}),
            lambda: plan.update(trial={"days": 367}),
            lambda: plan.update(trial={"days": 14, "free": "nothing"}),
            lambda: plan.update(commitment={"amount": "10", "discounts": [{"up_to": "5", "percent": "1"}]}),
        ]
        self.random.choice(breaks)()
        return case, True
