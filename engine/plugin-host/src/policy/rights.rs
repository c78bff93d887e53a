//! What of its requests is in force for an extension, and what a request, a grant and a denial include of each other.

use std::path::Path;
use std::sync::Arc;

use fornax_core::plugin::Capability;

/// The rights of one extension: asked for, granted, not denied.
#[derive(Clone, Debug, Default)]
pub struct Effective {
    pub(super) requested: Vec<Capability>,
    pub(super) granted: Vec<Capability>,
    /// With the words in which they were denied.
    pub(super) denied: Vec<(Capability, Arc<str>)>,
}

impl Effective {
    fn each(&self, mut test: impl FnMut(&Capability) -> bool) -> bool {
        self.requested.iter().any(&mut test)
            && self.granted.iter().any(&mut test)
            && !self.denied.iter().any(|(denied, _)| test(denied))
    }

    /// Whether a connection to the host and port may be opened.
    pub fn allows_host(&self, host: &str, port: u16) -> bool {
        self.each(|c| matches!(c, Capability::Network(patterns) if patterns.iter().any(|p| host_matches(p, host, port))))
    }

    pub fn allows_program(&self, program: &str) -> bool {
        self.each(
            |c| matches!(c, Capability::HostExec(names) if names.iter().any(|n| n == "*" || n == program)),
        ) && !self.denied.iter().any(|(denied, _)| {
            matches!(denied, Capability::HostExec(names) if names.iter().any(|n| may_be(n, program)))
        })
    }

    /// Whether any program may be run.
    pub fn allows_programs(&self) -> bool {
        self.requested.iter().any(|c| matches!(c, Capability::HostExec(_)) && self.covers_a_part(c))
    }

    /// Whether a canonical path may be read; relative grants start at `working_dir`.
    pub fn allows_file(&self, path: &Path, working_dir: &Path) -> bool {
        self.each(|c| {
            matches!(c, Capability::HostFilesRead(roots) if roots.iter().any(|r| {
                r == "*" || working_dir.join(r).canonicalize().is_ok_and(|root| path.starts_with(root))
            }))
        })
    }

    pub fn allows_reveal(&self) -> bool {
        self.each(|c| *c == Capability::SecretsReveal)
    }

    /// Whether the whole of a request is in force. A request for anything is, if a part of it was denied.
    pub fn covers(&self, request: &Capability) -> bool {
        parts(request)
            .iter()
            .all(|part| self.granted.iter().any(|g| covers(g, part)) && self.denial(part).is_none())
    }

    fn covers_a_part(&self, request: &Capability) -> bool {
        parts(request).iter().any(|part| {
            self.granted.iter().any(|g| covers(g, part) || covers(part, g)) && self.denial(part).is_none()
        })
    }

    /// In which words the operator denied a request or a part of it.
    pub fn denial(&self, request: &Capability) -> Option<&str> {
        parts(request).iter().find_map(|part| {
            self.denied.iter().find(|(denied, _)| covers(denied, part)).map(|(_, told)| told.as_ref())
        })
    }
}

/// A request for each of its values.
fn parts(request: &Capability) -> Vec<Capability> {
    fn each(list: &[String], make: fn(Vec<String>) -> Capability) -> Vec<Capability> {
        list.iter().map(|item| make(vec![item.clone()])).collect()
    }
    match request {
        Capability::Network(list) => each(list, Capability::Network),
        Capability::HostExec(list) => each(list, Capability::HostExec),
        Capability::HostFilesRead(list) => each(list, Capability::HostFilesRead),
        simple => vec![simple.clone()],
    }
}

/// Whether what was granted or denied includes a request for one value.
fn covers(given: &Capability, part: &Capability) -> bool {
    let any = |list: &[String], wanted: &[String], test: fn(&str, &str) -> bool| {
        wanted.iter().all(|w| list.iter().any(|g| g == "*" || test(g, w)))
    };
    match (given, part) {
        (Capability::Network(list), Capability::Network(wanted)) => any(list, wanted, host_covers),
        (Capability::HostExec(list), Capability::HostExec(wanted)) => any(list, wanted, |g, w| g == w),
        (Capability::HostFilesRead(list), Capability::HostFilesRead(wanted)) => {
            any(list, wanted, |g, w| Path::new(w).starts_with(g))
        }
        (given, part) => given == part,
    }
}

/// Whether a program that was denied could be the one that is to be started: `sh` and `/bin/sh` may be the same.
fn may_be(denied: &str, program: &str) -> bool {
    let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    denied == program || ((!denied.contains('/') || !program.contains('/')) && name(denied) == name(program))
}

fn host_matches(pattern: &str, host: &str, port: u16) -> bool {
    let (name, wanted) = split_port(pattern);
    if wanted.is_some_and(|p| p != port) {
        return false;
    }
    let host = host.trim_start_matches('[').trim_end_matches([']', '.']);
    match name.strip_prefix("*.") {
        Some(suffix) => {
            host.len() > suffix.len() + 1
                && host.to_ascii_lowercase().ends_with(&format!(".{}", suffix.to_ascii_lowercase()))
        }
        None => name == "*" || name.eq_ignore_ascii_case(host),
    }
}

/// Whether a granted pattern includes all hosts of a requested one.
fn host_covers(granted: &str, requested: &str) -> bool {
    let (granted_name, granted_port) = split_port(granted);
    let (requested_name, requested_port) = split_port(requested);
    if granted_port.is_some() && granted_port != requested_port {
        return false;
    }
    granted_name.eq_ignore_ascii_case(requested_name)
        || host_matches(granted_name, requested_name.trim_start_matches("*."), 0)
            && (granted_name == "*" || requested_name.starts_with("*.") || granted_name.starts_with("*."))
}

fn split_port(pattern: &str) -> (&str, Option<u16>) {
    if let Some(inner) = pattern.strip_prefix('[')
        && let Some((name, rest)) = inner.split_once(']')
    {
        return (name, rest.strip_prefix(':').and_then(|p| p.parse().ok()));
    }
    match pattern.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') => match port.parse() {
            Ok(port) => (name, Some(port)),
            Err(_) => (pattern, None),
        },
        _ => (pattern, None),
    }
}
