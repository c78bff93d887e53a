//! Functions of dates. Times are texts as RFC 3339 has them, with their own offset from UTC.

use jiff::Zoned;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::{Fault, Function, Host, Outcome, Param, at, function, gives, int, number, param, string, text};
use crate::hcl::Val;
use crate::hcl::types::Type;
use crate::interpolate::{go_time, strftime};

mod moment;

pub(super) use moment::yaml_timestamp;
use moment::{Moment, duration};

const FORMAT: Param = param("format", string);

pub(super) const TABLE: &[Function] = &[
    function(
        "formatdate",
        "A time in another form: YYYY, MM, DD, hh, mm, ss and so on stand for its parts.",
        &[FORMAT, param("time", string)],
        gives::string,
        formatdate,
    ),
    function(
        "legacy_isotime",
        "The time of the run in UTC, in a layout of the Go language.",
        &[],
        gives::string,
        isotime,
    )
    .rest(FORMAT),
    function(
        "legacy_strftime",
        "The time of the run in UTC, in a format of strftime.",
        &[],
        gives::string,
        legacy_strftime,
    )
    .rest(FORMAT),
    function(
        "rfc3339_parse",
        "The parts of a time.",
        &[param("timestamp", string)],
        |_| parts_type("unix", Type::Number),
        rfc3339_parse,
    ),
    function(
        "timeadd",
        "A time with a duration like 1h30m added.",
        &[param("timestamp", string), param("duration", string)],
        gives::string,
        timeadd,
    ),
    function("timestamp", "The time of the run in UTC.", &[], gives::string, |_, host| {
        Ok(Val::string(of_run(host).print()))
    }),
    function(
        "unix_timestamp_parse",
        "The parts of a time that is given as seconds since 1970, in UTC.",
        &[param("unix_timestamp", number)],
        |_| parts_type("rfc3339", Type::String),
        unix_timestamp_parse,
    ),
];

fn parts_type(name: &'static str, ty: Type) -> Type {
    let sample = Moment { local: DateTime::default(), offset: 0 }.parts(name, Val::Null(ty));
    sample.ty()
}

fn run_time(host: &dyn Host) -> Zoned {
    host.start_time().to_zoned(TimeZone::UTC)
}

fn of_run(host: &dyn Host) -> Moment {
    Moment { local: run_time(host).datetime(), offset: 0 }
}

fn one_format(args: &[Val]) -> Result<Option<String>, Fault> {
    if args.len() > 1 {
        return Err("too many values, 1 needed".into());
    }
    Ok((args.len() == 1).then(|| text(args, 0)))
}

fn isotime(args: &[Val], host: &dyn Host) -> Outcome {
    Ok(Val::string(match one_format(args)? {
        Some(layout) => go_time(&run_time(host), &layout),
        None => of_run(host).print(),
    }))
}

fn legacy_strftime(args: &[Val], host: &dyn Host) -> Outcome {
    Ok(Val::string(match one_format(args)? {
        Some(format) => strftime(&run_time(host), &format).map_err(|e| at(0, e.to_string()))?,
        None => of_run(host).print(),
    }))
}

fn rfc3339_parse(args: &[Val], _: &dyn Host) -> Outcome {
    let source = text(args, 0);
    // A space may stand for the T.
    let with_t = match source.get(10..11) {
        Some(" ") => format!("{}T{}", &source[..10], &source[11..]),
        _ => source.clone(),
    };
    let moment =
        Moment::parse(&with_t).map_err(|_| at(0, format!("{source:?} is not a valid RFC3339 timestamp")))?;
    let unix = moment.unix().ok_or("the time is out of range")?;
    Ok(moment.parts("unix", Val::number(unix)))
}

fn unix_timestamp_parse(args: &[Val], _: &dyn Host) -> Outcome {
    let seconds = int(args, 0)?;
    let time =
        jiff::Timestamp::from_second(seconds).map_err(|_| at(0, "the time is beyond the year 9999"))?;
    let moment = Moment { local: time.to_zoned(TimeZone::UTC).datetime(), offset: 0 };
    let printed = moment.print();
    Ok(moment.parts("rfc3339", Val::string(printed)))
}

fn timeadd(args: &[Val], _: &dyn Host) -> Outcome {
    let moment = Moment::parse(&text(args, 0)).map_err(|e| at(0, e))?;
    let later =
        moment.plus(duration(&text(args, 1))?).ok_or("the result is not between the years 0 and 9999")?;
    Ok(Val::string(later.print()))
}

fn formatdate(args: &[Val], _: &dyn Host) -> Outcome {
    let moment = Moment::parse(&text(args, 1)).map_err(|e| at(1, e))?;
    let format = text(args, 0);
    let mut out = String::new();
    let mut rest = format.as_str();
    while let Some(c) = rest.chars().next() {
        if c == '\'' {
            rest = literal(&rest[1..], &mut out)?;
        } else if c.is_ascii_alphabetic() {
            let count = rest.chars().take_while(|other| *other == c).count();
            out.push_str(&verb(&moment, c, count).map_err(|why| {
                let verb = &rest[..count];
                at(0, format!("invalid date format verb {verb:?}{why}"))
            })?);
            rest = &rest[count..];
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    Ok(Val::string(out))
}

/// What follows an apostrophe up to the next one; two are one.
fn literal<'a>(after: &'a str, out: &mut String) -> Result<&'a str, Fault> {
    if let Some(rest) = after.strip_prefix('\'') {
        out.push('\'');
        return Ok(rest);
    }
    let mut rest = after;
    loop {
        let end = rest.find('\'').ok_or_else(|| at(0, "unterminated literal '"))?;
        out.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('\'') {
            Some(more) => {
                out.push('\'');
                rest = more;
            }
            None => return Ok(rest),
        }
    }
}

fn verb(moment: &Moment, letter: char, count: usize) -> Result<String, &'static str> {
    let local = moment.local;
    let number = |n: i8, what: &'static str| match count {
        1 => Ok(n.to_string()),
        2 => Ok(format!("{n:02}")),
        _ => Err(what),
    };
    let hour12 = match local.hour() % 12 {
        0 => 12,
        hour => hour,
    };
    match letter {
        'Y' => match count {
            2 => Ok(format!("{:02}", local.year() % 100)),
            4 => Ok(format!("{:04}", local.year())),
            _ => Err(": year must either be \"YY\" or \"YYYY\""),
        },
        'M' => match count {
            3 => Ok(moment.month_name()[..3].to_owned()),
            4 => Ok(moment.month_name().to_owned()),
            _ => number(local.month(), ": month must be \"M\", \"MM\", \"MMM\", or \"MMMM\""),
        },
        'D' => number(local.day(), ": day of month must either be \"D\" or \"DD\""),
        'E' => match count {
            3 => Ok(moment.day_name()[..3].to_owned()),
            4 => Ok(moment.day_name().to_owned()),
            _ => Err(": day of week must either be \"EEE\" or \"EEEE\""),
        },
        'h' => number(local.hour(), ": 24-hour must either be \"h\" or \"hh\""),
        'H' => number(hour12, ": 12-hour must either be \"H\" or \"HH\""),
        'A' | 'a' if count != 2 => Err(": must be \"AA\" or \"aa\""),
        'A' => Ok(if local.hour() < 12 { "AM" } else { "PM" }.to_owned()),
        'a' => Ok(if local.hour() < 12 { "am" } else { "pm" }.to_owned()),
        'm' => number(local.minute(), ": minute must either be \"m\" or \"mm\""),
        's' => number(local.second(), ": second must either be \"s\" or \"ss\""),
        'Z' => match count {
            1 => Ok(moment.zone("Z", true)),
            3 => Ok(moment.zone("UTC", false)),
            4 => Ok(moment.zone("", false)),
            5 => Ok(moment.zone("", true)),
            _ => Err(": timezone must be Z, ZZZZ, or ZZZZZ"),
        },
        _ => Err(""),
    }
}
