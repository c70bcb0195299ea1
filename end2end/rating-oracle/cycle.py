"""Billing periods, cut by Python's own calendar."""

from calendar import monthrange
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

MONTHS = {"month": 1, "quarter": 3, "half_year": 6, "year": 12}
DAYS = {"day": 1, "week": 7}


class Cycle:
    """Where periods begin, counted from the one that begins at the anchor."""

    def __init__(self, anchor, interval, zone):
        self.anchor = anchor
        self.interval = interval
        self.zone = ZoneInfo(zone)
        self.local = datetime.fromtimestamp(anchor, UTC).astimezone(self.zone).replace(tzinfo=None)

    def start(self, number):
        if number == 0:
            # The anchor is an instant, and may be in the second of two hours of one name.
            return self.anchor
        if self.interval in DAYS:
            local = self.local + timedelta(days=DAYS[self.interval] * number)
        else:
            month = self.local.month - 1 + MONTHS[self.interval] * number
            year, month = self.local.year + month // 12, month % 12 + 1
            local = self.local.replace(year=year, month=month, day=min(self.local.day, monthrange(year, month)[1]))
        # A time that a clock change skips has the offset from before it, one that it doubles is the first of the two.
        return int(local.replace(tzinfo=self.zone, fold=0).timestamp())

    def number(self, at):
        """Of the period that holds the instant; below zero where that is before the anchor."""
        days = DAYS.get(self.interval) or 30 * MONTHS[self.interval]
        number = (at - self.anchor) // (days * 86_400)
        while self.start(number) > at:
            number -= 1
        while self.start(number + 1) <= at:
            number += 1
        return number


def calendar_period(at, interval, zone):
    """The period of the calendar that holds the instant: from the first day's midnight to the next one's."""
    zone = ZoneInfo(zone)
    day = datetime.fromtimestamp(at, UTC).astimezone(zone).replace(tzinfo=None, hour=0, minute=0, second=0)
    if interval == "week":
        day -= timedelta(days=day.weekday())
    if interval in DAYS:
        end = day + timedelta(days=DAYS[interval])
    else:
        months = MONTHS[interval]
        first = (day.month - 1) // months * months
        day = day.replace(month=first + 1, day=1)
        end = day.replace(year=day.year + (first + months) // 12, month=(first + months) % 12 + 1)
    return [int(edge.replace(tzinfo=zone, fold=0).timestamp()) for edge in (day, end)]
