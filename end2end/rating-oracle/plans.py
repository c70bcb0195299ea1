"""Random plans and what was used under them, leaning to the edges: ends of steps, halves of a coin, nothing at all."""

from decimal import Decimal

CURRENCIES = ["USD", "EUR", "GBP", "CHF", "NZD", "JPY"]
# As people write prices, and some whose parts are halves of a coin.
PRICES = ["0", "0.005", "0.0005", "0.015", "0.01", "0.008", "0.002", "1", "0.125", "0.00000125", "2.50", "0.333", "19.99"]
PERCENTS = ["0", "10", "2.9", "50", "100", "12.5", "0.1", "33.333333", "15"]
PRODUCTS = ["payments", "reports", "kyc"]
OPERATIONS = ["create", "list", "refund", "search", "a", "zz"]
METERS = ["tokens", "paid", "seats"]
UNITS = [0, 1, 10, 99, 1_000, 50_000, 100_000, 650_000]


class Plans:
    """Cases from one `random.Random`."""

    def __init__(self, random):
        self.random = random
        self.ends = []

    def case(self):
        self.ends = []
        plan = self.plan()
        used = [self.used() for _ in range(self.random.choice([0, 1, 1, 2, 3, 6]))]
        metered = [self.metered(priced) for priced in plan.get("meters", []) for _ in range(self.random.choice([0, 1, 1, 2]))]
        if self.random.random() < 0.2:
            metered.append({"product": "payments", "meter": "unpriced", "quantity": 12, "calls": 3})
        if self.random.random() < 0.005:
            for use in used:
                use["units"] = self.random.choice([2**64 - 1, 2**63, 10**15])
        whole, part = self.periods()
        number = self.random.choice([0, 0, 1, 2, 3, 11, 12, 60])
        in_trial = "trial" in plan and self.chance(0.7)
        coupons = [self.coupon(plan) for _ in range(self.random.choice([0, 0, 1, 1, 2, 3]))]
        case = {"plan": plan, "number": number, "in_trial": in_trial, "coupons": coupons, "whole": whole, "part": part, "used": used, "metered": metered}
        return self.broken(case) if self.random.random() < 0.01 else (case, False)

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
        if self.chance(0.7):
            plan["base_fee"] = self.amount(1_000)
        if self.chance(0.25):
            plan["fee_due"] = self.random.choice(["advance", "advance", "arrears"])
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
        if self.chance(0.3):
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

    def coupon(self, plan):
        """A coupon as a bill of its partner sees it."""
        random, coupon = self.random, {"name": "Thanks"}
        taken = 0
        if self.chance(0.5):
            coupon["percent"] = next(percent for percent in iter(self.percent, None) if Decimal(percent) > 0)
        else:
            coupon["amount"] = self.amount(random.choice([5, 100, 2_000]), least=1)
            coupon["currency"] = plan["currency"] if self.chance(0.95) else random.choice(CURRENCIES)
            if coupon["currency"] == "JPY":
                coupon["amount"] = str(int(Decimal(coupon["amount"])) + 1)
            if self.chance(0.3):
                coin = 10 ** (6 if coupon["currency"] == "JPY" else 4)
                taken = random.choice([coin, int(Decimal(coupon["amount"]) * 10**6), int(Decimal(coupon["amount"]) * 10**6) // 2 // coin * coin])
        if self.chance(0.6):
            coupon["periods"] = random.choice([1, 2, 3, 12])
        if self.chance(0.2):
            coupon["plans"] = ["pro"]
        return {"coupon": coupon, "number": random.choice([0, 0, 1, 2, 3, 12]), "taken": taken, "others": random.choice([0, 0, 0, 1, 2])}

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
        cuts = sorted(start + random.choice([0, length, random.randint(0, length)]) for _ in range(2))
        if self.chance(0.02):
            cuts[1] += length
        return whole, cuts

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
            lambda: case.update(coupons=[{"coupon": {"name": "Both", "percent": "5", "amount": "5", "currency": "USD"}, "number": 0, "taken": 0, "others": 0}]),
            lambda: case.update(coupons=[{"coupon": {"name": "Neither"}, "number": 0, "taken": 0, "others": 0}]),
            lambda: case.update(coupons=[{"coupon": {"name": "Never", "percent": "5", "periods": 0}, "number": 0, "taken": 0, "others": 0}]),
            lambda: plan.update(trial={"days": 0}),
            lambda: plan.update(trial={"days": 367}),
            lambda: plan.update(trial={"days": 14, "free": "nothing"}),
            lambda: plan.update(commitment={"amount": "10", "discounts": [{"up_to": "5", "percent": "1"}]}),
        ]
        self.random.choice(breaks)()
        return case, True
