//! Times with their offset from UTC: reading and writing RFC 3339, YAML's laxer form, and durations as Go writes them.

use jiff::SignedDuration;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;

use crate::hcl::Val;
use crate::hcl::functions::{Fault, at};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// A time on the clocks of some place.
pub(super) struct Moment {
    pub(super) local: DateTime,
    /// Seconds east of UTC.
    pub(super) offset: i32,
}

impl Moment {
    /// Reads RFC 3339 strictly.
    pub(super) fn parse(source: &str) -> Result<Self, &'static str> {
        let digits = |from: usize, count: usize, what: &'static str| -> Result<i64, &'static str> {
            let part = source.get(from..from + count).filter(|p| p.bytes().all(|b| b.is_ascii_digit()));
            part.and_then(|p| p.parse().ok()).ok_or(what)
        };
        let mark = |place: usize, mark: char, what: &'static str| {
            if source.get(place..=place) == Some(mark.encode_utf8(&mut [0; 4])) { Ok(()) } else { Err(what) }
        };
        const YEAR: &str = "not a valid RFC3339 timestamp: the year must have four digits";
        const MONTH: &str = "not a valid RFC3339 timestamp: the month must have two digits, 01 to 12";
        const DAY: &str = "not a valid RFC3339 timestamp: the month has no such day";
        const HOUR: &str = "not a valid RFC3339 timestamp: hour must be between 00 and 23 inclusive";
        const MINUTE: &str = "not a valid RFC3339 timestamp: minute must be between 00 and 59 inclusive";
        const SECOND: &str = "not a valid RFC3339 timestamp: second must be between 00 and 59 inclusive";
        const ZONE: &str =
            "not a valid RFC3339 timestamp: it must end in Z or an offset from UTC like +01:00";
        let year = digits(0, 4, YEAR)?;
        mark(4, '-', "not a valid RFC3339 timestamp: a dash is missing after the year")?;
        let month = digits(5, 2, MONTH)?;
        mark(7, '-', "not a valid RFC3339 timestamp: a dash is missing after the month")?;
        let day = digits(8, 2, DAY)?;
        mark(10, 'T', "not a valid RFC3339 timestamp: missing required time introducer 'T'")?;
        let hour = digits(11, 2, HOUR)?;
        mark(13, ':', "not a valid RFC3339 timestamp: a colon is missing after the hour")?;
        let minute = digits(14, 2, MINUTE)?;
        mark(16, ':', "not a valid RFC3339 timestamp: a colon is missing after the minute")?;
        let second = digits(17, 2, SECOND)?;
        let mut rest = source.get(19..).unwrap_or_default();
        let mut nanos = 0;
        if let Some(fraction) = rest.strip_prefix('.') {
            let count = fraction.bytes().take_while(u8::is_ascii_digit).count();
            if count == 0 {
                return Err(ZONE);
            }
            nanos = nanoseconds(&fraction[..count]);
            rest = &fraction[count..];
        }
        let offset = offset(rest).ok_or(ZONE)?;
        let small = |n: i64| i8::try_from(n).unwrap_or(i8::MAX);
        if !(1..=12).contains(&month) {
            return Err(MONTH);
        }
        let date = i16::try_from(year).ok().and_then(|y| Date::new(y, small(month), small(day)).ok());
        let date = date.ok_or(DAY)?;
        if hour > 23 {
            return Err(HOUR);
        }
        if minute > 59 {
            return Err(MINUTE);
        }
        let time = Time::new(small(hour), small(minute), small(second), nanos).map_err(|_| SECOND)?;
        Ok(Self { local: date.to_datetime(time), offset })
    }

    pub(super) fn print(&self) -> String {
        format!("{}{}", self.local.strftime("%Y-%m-%dT%H:%M:%S"), self.zone("Z", true))
    }

    /// The offset from UTC; `zero` in its place if there is none.
    pub(super) fn zone(&self, zero: &str, colon: bool) -> String {
        if self.offset == 0 && !zero.is_empty() {
            return zero.to_owned();
        }
        let minutes = self.offset.unsigned_abs() / 60;
        let sign = if self.offset < 0 { '-' } else { '+' };
        let colon = if colon { ":" } else { "" };
        format!("{sign}{:02}{colon}{:02}", minutes / 60, minutes % 60)
    }

    pub(super) fn plus(&self, duration: SignedDuration) -> Option<Self> {
        let local = self.local.checked_add(duration).ok()?;
        (0..=9999).contains(&local.year()).then_some(Self { local, offset: self.offset })
    }

    pub(super) fn unix(&self) -> Option<i64> {
        let utc = self.local.checked_sub(SignedDuration::from_secs(i64::from(self.offset))).ok()?;
        utc.to_zoned(TimeZone::UTC).ok().map(|z| z.timestamp().as_second())
    }

    fn weekday(&self) -> i64 {
        i64::from(self.local.weekday().to_sunday_zero_offset())
    }

    /// The parts as `rfc3339_parse` gives them, and one more.
    pub(super) fn parts(&self, name: &'static str, value: Val) -> Val {
        let local = self.local;
        let week = local.date().iso_week_date();
        let number = |n: i64| Val::number(n);
        Val::object([
            ("day", number(i64::from(local.day()))),
            ("hour", number(i64::from(local.hour()))),
            ("iso_week", number(i64::from(week.week()))),
            ("iso_year", number(i64::from(week.year()))),
            ("minute", number(i64::from(local.minute()))),
            ("month", number(i64::from(local.month()))),
            ("month_name", Val::string(self.month_name())),
            ("second", number(i64::from(local.second()))),
            ("weekday", number(self.weekday())),
            ("weekday_name", Val::string(self.day_name())),
            ("year", number(i64::from(local.year()))),
            ("year_day", number(i64::from(local.day_of_year()))),
            (name, value),
        ])
    }

    pub(super) fn month_name(&self) -> &'static str {
        MONTHS[(self.local.month() - 1) as usize]
    }

    pub(super) fn day_name(&self) -> &'static str {
        DAYS[self.weekday() as usize]
    }
}

/// The first nine digits of a fraction of a second.
fn nanoseconds(digits: &str) -> i32 {
    format!("{:0<9}", &digits[..digits.len().min(9)]).parse().unwrap_or(0)
}

/// `Z` or `+01:00` in seconds.
fn offset(text: &str) -> Option<i32> {
    if text == "Z" {
        return Some(0);
    }
    let sign = match text.chars().next()? {
        '+' => 1,
        '-' => -1,
        _ => return None,
    };
    let (hours, minutes) = text[1..].split_once(':')?;
    let two = |s: &str, most: i32| {
        let digits = s.len() == 2 && s.bytes().all(|b| b.is_ascii_digit());
        s.parse::<i32>().ok().filter(|n| digits && *n <= most)
    };
    Some(sign * (two(hours, 23)? * 3600 + two(minutes, 59)? * 60))
}

/// Nanoseconds of the units of durations.
const UNITS: [(&str, i128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Numbers with units one after the other, as Go reads durations; exact to the nanosecond.
pub(super) fn duration(source: &str) -> Result<SignedDuration, Fault> {
    let wrong = || at(1, format!("time: invalid duration {source:?}"));
    let (negative, mut rest) = match source.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, source.strip_prefix('+').unwrap_or(source)),
    };
    if rest == "0" {
        return Ok(SignedDuration::ZERO);
    }
    if rest.is_empty() {
        return Err(wrong());
    }
    let mut total = 0_i128;
    while !rest.is_empty() {
        let number = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(rest.len());
        let (whole, fraction) = rest[..number].split_once('.').unwrap_or((&rest[..number], ""));
        if fraction.contains('.') || (whole.is_empty() && fraction.is_empty()) {
            return Err(wrong());
        }
        rest = &rest[number..];
        let name = &rest[..rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len())];
        if name.is_empty() {
            return Err(at(1, format!("time: missing unit in duration {source:?}")));
        }
        let unit = UNITS.iter().find(|(unit, _)| *unit == name).map(|(_, scale)| *scale);
        let unit =
            unit.ok_or_else(|| at(1, format!("time: unknown unit {name:?} in duration {source:?}")))?;
        let whole = if whole.is_empty() { 0 } else { whole.parse::<i64>().map_err(|_| wrong())? };
        // Digits beyond a few are less than a nanosecond of an hour.
        let fraction = &fraction[..fraction.len().min(15)];
        let part = if fraction.is_empty() { 0 } else { fraction.parse::<i128>().map_err(|_| wrong())? };
        total += i128::from(whole) * unit + part * unit / 10_i128.pow(fraction.len() as u32);
        if total > i128::from(i64::MAX) {
            return Err(wrong());
        }
        rest = &rest[name.len()..];
    }
    let nanos = i64::try_from(total).map_err(|_| wrong())?;
    Ok(SignedDuration::from_nanos(if negative { -nanos } else { nanos }))
}

/// A time as YAML 1.1 writes it, as RFC 3339: short fields are allowed, and a day alone. None for other texts.
pub(in super::super) fn yaml_timestamp(source: &str) -> Option<String> {
    let field = |text: &str, most: usize| {
        let digits = !text.is_empty() && text.len() <= most && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse::<i16>().ok()).flatten()
    };
    let small = |text: &str| field(text, 2).and_then(|n| i8::try_from(n).ok());
    let (date, time, zoned) = match source.find(['T', 't', ' ']) {
        Some(i) => (&source[..i], Some(&source[i + 1..]), !source[i..].starts_with(' ')),
        None => (source, None, false),
    };
    let mut parts = date.split('-');
    let year = parts.next().filter(|y| y.len() == 4).and_then(|y| field(y, 4))?;
    let date = Date::new(year, small(parts.next()?)?, small(parts.next()?)?).ok()?;
    if parts.next().is_some() {
        return None;
    }
    let Some(time) = time else {
        return Some(Moment { local: date.to_datetime(Time::midnight()), offset: 0 }.print());
    };
    let (clock, offset) = match time.find(['Z', '+', '-']) {
        Some(i) if zoned => (&time[..i], offset(&time[i..])?),
        None if !zoned => (time, 0),
        _ => return None,
    };
    let mut parts = clock.split(':');
    let (hour, minute, second) = (small(parts.next()?)?, small(parts.next()?)?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let (second, fraction) = second.split_once('.').unwrap_or((second, "0"));
    if fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let time = Time::new(hour, minute, small(second)?, 0).ok()?;
    Some(Moment { local: date.to_datetime(time), offset }.print())
}
