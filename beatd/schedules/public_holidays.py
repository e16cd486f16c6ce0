"""The public holidays and weekends of countries, as the `holidays` library knows them.

The library is imported when it is first needed: that takes half a second.
"""

from __future__ import annotations

import warnings
from calendar import isleap
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, cast

from beatd.errors import FieldError, did_you_mean, nearest

if TYPE_CHECKING:
    from holidays import HolidayBase

#: Beyond this it knows none.
HOLIDAYS_END = datetime(2101, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=4096)
def holidays_of(country: str, region: str | None, year: int) -> Mapping[date, str]:
    """A year's holidays with their names."""
    return dict(_known(country, region, year))


@lru_cache(maxsize=4096)
def weekends_of(country: str, region: str | None, year: int) -> frozenset[date]:
    """The days of a year's weekends on which nobody works."""
    known = _known(country, region, year)
    return frozenset(
        day for day in days_of(year) if known.is_weekend(day) and day not in known.weekend_workdays
    )


def _known(country: str, region: str | None, year: int) -> HolidayBase:
    from holidays import country_holidays

    # Of a few countries it knows some years only, and writes so to wherever the daemon's errors go.
    warnings.filterwarnings("ignore", category=UserWarning, module="holidays")
    return country_holidays(country, subdiv=region, years=year, expand=False, language=_language(country))


def days_of(year: int) -> Iterator[date]:
    return (date(year, 1, 1) + number * timedelta(days=1) for number in range(365 + isleap(year)))


def parse_country(text: str) -> str:
    """Its code of two letters. Raises FieldError."""
    from holidays.registry import COUNTRIES

    codes = {names[1] for names in COUNTRIES.values()}
    code = text.strip().upper()
    if code in codes:
        return code
    called = {name.lower(): names[1] for names in COUNTRIES.values() for name in names}
    called |= {module.replace("_", " "): names[1] for module, names in COUNTRIES.items()}
    near = nearest(text.strip().lower(), called, 3, cutoff=0.75)
    meant = list(dict.fromkeys(called[name] for name in near))
    problem = f"is not the two letters of a country whose holidays are known{did_you_mean(meant)}"
    raise FieldError("country", text, problem, example="DE")


def parse_region(country: str, text: str) -> str:
    """The code of a country's region, which may be given by its name. Raises FieldError."""
    entity = _entity(country)
    called = {code.lower(): code for code in entity.subdivisions}
    called |= {name.lower(): code for name, code in entity.subdivisions_aliases.items()}
    wanted = text.strip().lower()
    if wanted in called:
        return called[wanted]
    if not called:
        raise FieldError("region", text, f"no regions of {country} are known; leave it out")
    near = list(dict.fromkeys(called[name] for name in nearest(wanted, called, 3)))
    known = ", ".join(entity.subdivisions)
    problem = f"is not a region of {country}{did_you_mean(near) or f'; there are: {known}'}"
    raise FieldError("region", text, problem, example=near[0] if near else entity.subdivisions[0])


def _language(country: str) -> str | None:
    """English where the holidays have English names, else their own; never what the environment says."""
    entity = _entity(country)
    english = [language for language in entity.supported_languages if language.startswith("en")]
    return "en_US" if "en_US" in english else next(iter(english), entity.default_language)


def _entity(country: str) -> type[HolidayBase]:
    """The country's class in the library."""
    import holidays

    return cast("type[HolidayBase]", getattr(holidays, country))
