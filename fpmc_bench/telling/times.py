"""Spans of time as a person says them."""

SECONDS_SHOWN = 99
MINUTE, HOUR, DAY = 60, 3600, 86400


def span(seconds: float) -> str:
    """40 s, 12 min, 3 h 05 min, 2 d 04 h: rounded, and never less than nothing."""
    whole = max(0, round(seconds))
    if whole <= SECONDS_SHOWN:
        return f"{whole} s"
    minutes = round(whole / MINUTE)
    if minutes < HOUR // MINUTE:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, HOUR // MINUTE)
    if hours < DAY // HOUR:
        return f"{hours} h {minutes:02} min"
    days, hours = divmod(round(whole / HOUR), DAY // HOUR)
    return f"{days} d {hours:02} h"
