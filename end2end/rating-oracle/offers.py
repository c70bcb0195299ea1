"""Phases and promotions: what of the plan document counts in one period, read once more by somebody else.

`since` of the case is when the partner has the plan from; `number` counts its periods, the first being 0.
"""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

FIELDS = ("base_fee", "price", "minimum", "included_credit")


def in_force(case, misread):
    """The plan without offers, with what those of the period replace."""
    plan = {key: value for key, value in case["plan"].items() if key not in ("phases", "promotions")}
    found = []
    phase = phase_of(case, misread)
    if phase:
        found.append(phase)
    if case["plan"].get("promotions"):
        today = day(case, misread)
        found += [one for one in case["plan"]["promotions"] if is_on(one, today, misread)]
    if misread == "phase-over-promotion":
        found.reverse()
    for offer in found:
        plan = laid_over(plan, offer["instead"], misread)
    return plan


def phase_of(case, misread):
    in_trial = case.get("in_trial")
    if in_trial and misread == "trial-without-phase":
        return None
    # A trial has what the first period after it has.
    number = 0 if in_trial else case["number"]
    end = 0
    for phase in case["plan"].get("phases", []):
        periods = phase["periods"] + (1 if misread == "phase-period-more" else 0)
        end = periods if misread == "phases-from-the-first" else end + periods
        if number < end:
            return phase
    return None


def day(case, misread):
    """The partner's day by which a period has its promotions."""
    start, end = case["whole"]
    at = end if case.get("in_trial") else max(start, case["since"])
    if misread == "promotion-by-the-end":
        at = end
    elif misread == "promotion-before-the-plan":
        at = start
    zone = UTC if misread == "promotion-in-utc" else ZoneInfo(case["cycle"]["zone"])
    return datetime.fromtimestamp(at, UTC).astimezone(zone).date()


def is_on(promotion, today, misread):
    until = date.fromisoformat(promotion["until"])
    begins = "from" not in promotion or date.fromisoformat(promotion["from"]) <= today
    return begins and (today < until if misread == "promotion-without-its-last-day" else today <= until)


def laid_over(plan, instead, misread):
    plan = {**plan, **{field: instead[field] for field in FIELDS if field in instead}}
    if misread == "offer-price-alone" and "price" in instead and "included" in plan["price"]:
        plan["price"] = {**plan["price"], "included": 0}
    if "meters" in instead:
        own = {(one["product"], one["meter"]): one for one in instead["meters"]}
        meters = [own.get((one["product"], one["meter"]), one) for one in plan.get("meters", [])]
        plan["meters"] = instead["meters"] if misread == "offer-all-meters" else meters
    return plan
