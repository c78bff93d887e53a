//! Which inbound ports a network security group opens.

use serde_json::Value;

use super::resource::Resource;

/// Whether the group lets TCP in on a port: the rule with the smallest priority that fits decides; without one the
/// built-in rules deny what comes from the Internet.
pub(crate) fn allows(group: &Resource, port: u16) -> bool {
    let rules = group.properties.get("securityRules").and_then(Value::as_array);
    let mut fitting: Vec<(u64, bool)> = rules
        .into_iter()
        .flatten()
        .filter_map(|rule| {
            let rule = rule.get("properties")?;
            let text = |key: &str| rule.get(key).and_then(Value::as_str).unwrap_or_default();
            let protocol = text("protocol");
            let fits = text("direction").eq_ignore_ascii_case("Inbound")
                && (protocol == "*" || protocol.eq_ignore_ascii_case("Tcp"))
                && port_fits(rule, port);
            let priority = rule.get("priority").and_then(Value::as_u64).unwrap_or(u64::MAX);
            fits.then(|| (priority, text("access").eq_ignore_ascii_case("Allow")))
        })
        .collect();
    fitting.sort_unstable_by_key(|(priority, _)| *priority);
    fitting.first().is_some_and(|(_, allow)| *allow)
}

fn port_fits(rule: &Value, port: u16) -> bool {
    let one = rule.get("destinationPortRange").and_then(Value::as_str);
    let many = rule.get("destinationPortRanges").and_then(Value::as_array);
    let many = many.into_iter().flatten().filter_map(Value::as_str);
    one.into_iter().chain(many).any(|range| match range.split_once('-') {
        _ if range == "*" => true,
        Some((low, high)) => {
            matches!((low.trim().parse::<u16>(), high.trim().parse::<u16>()), (Ok(l), Ok(h)) if (l..=h).contains(&port))
        }
        None => range.trim().parse() == Ok(port),
    })
}
