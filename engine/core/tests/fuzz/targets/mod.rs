//! What must hold for whatever bytes are read as a template. Each target is one function that panics where it does not
//! hold. Two drivers call them: the short run in `main.rs` beside this folder, and the long one in the crate
//! `tests/fuzz` at the root, which includes this folder by its path.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use fornax_core::hcl::functions::{FileKind, Host};
use fornax_core::value::Node;
use fornax_core::{Diagnostics, Redactor, Secret, SourceFile, Span};

mod hcl;
mod json;
#[path = "../../support/null_data.rs"]
mod null_data;
mod text;

use null_data::NullData;

/// A name and what must hold.
pub type Target = (&'static str, fn(&[u8]));

pub const TARGETS: &[Target] = &[
    ("json", json::template),
    ("json_variables", json::variable_file),
    ("fix", json::fix),
    ("upgrade", json::upgrade),
    ("hcl", hcl::template),
    ("hcl_json", hcl::json_form),
    ("hcl_variables", hcl::variable_file),
    ("expression", hcl::expression),
    ("format", hcl::format),
    ("interpolation", text::interpolation),
];

/// The value of sensitive variables in the seeds; no rendered finding may show it.
pub const CANARY: &str = "canary-8d1f6b";

/// What is found in a template of any language, told by its name.
#[allow(dead_code)] // the long run has no use for it
pub fn findings(name: &str, text: &str) -> Diagnostics {
    let file = SourceFile::new(name, text);
    match name.ends_with(".pkr.hcl") || name.ends_with(".pkr.json") {
        true => hcl::planned(&file, Vec::new()).1,
        false => json::planned(&file, Vec::new()),
    }
}

/// Files are read as text before they get here, so bytes that are none are replaced.
fn source(name: &str, bytes: &[u8]) -> Arc<SourceFile> {
    SourceFile::new(name, String::from_utf8_lossy(bytes))
}

/// Findings have places within their texts, say something, can be rendered, and show no secret.
fn check_findings(found: &Diagnostics, secrets: &[Secret]) {
    if found.is_empty() {
        return;
    }
    let redactor = Redactor::new();
    for secret in secrets {
        redactor.register(secret);
    }
    let is_planted = secrets.iter().any(|secret| secret.expose() == CANARY);
    for (at, finding) in found.iter().enumerate() {
        assert!(!finding.summary.is_empty() && !finding.code.is_empty(), "{finding:?}");
        finding.span.iter().chain(finding.related.iter().map(|(span, _)| span)).for_each(check_place);
        // People are not shown more of them either.
        if at >= 50 {
            continue;
        }
        let shown = finding.render_masked(&redactor);
        assert!(!(is_planted && shown.contains(CANARY)), "a secret is shown:\n{shown}");
        finding.to_json();
    }
}

fn check_place(span: &Span) {
    let (range, text) = (span.range(), span.file().text());
    assert!(
        range.start <= range.end && text.get(range.clone()).is_some(),
        "the place {range:?} is not one in a text of {} bytes",
        text.len()
    );
}

/// A world without files, with one environment variable and a clock that stands still.
struct Nowhere;

impl Host for Nowhere {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        match path.ends_with("here.txt") {
            true => Ok(b"text with ${x} in it\n".to_vec()),
            false => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn kind(&self, path: &Path) -> io::Result<FileKind> {
        Ok(if path.ends_with("here.txt") { FileKind::File } else { FileKind::Missing })
    }

    fn list(&self, _: &Path) -> io::Result<Vec<(String, FileKind)>> {
        Ok(vec![("here.txt".to_owned(), FileKind::File)])
    }

    fn home(&self) -> Option<String> {
        Some("/home/tester".to_owned())
    }

    fn env(&self, name: &str) -> Option<String> {
        (name == "HERE").then(|| CANARY.to_owned())
    }

    fn start_time(&self) -> jiff::Timestamp {
        jiff::Timestamp::UNIX_EPOCH
    }

    fn base_dir(&self) -> &Path {
        Path::new("/template")
    }

    fn working_dir(&self) -> &Path {
        Path::new("/work")
    }
}

/// Nothing in here waits, so the first poll is the last.
fn now<T>(future: impl Future<Output = T>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("reading a template waits for something"),
    }
}

/// Facts of a build as a builder gives them.
fn build_facts() -> fornax_core::builder::BuildData {
    BTreeMap::from([("ID", "i-1"), ("Host", "10.0.0.1"), ("PackerRunUUID", "u-1")])
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.into()))
        .collect()
}

/// What a plan may do: its configurations can be asked for before and while a build runs. Returns what is found then.
fn check_plan(plan: &fornax_core::plan::Plan) -> Diagnostics {
    let facts = build_facts();
    let mut all = Diagnostics::new();
    for build in &plan.builds {
        check_findings(&build.check_build_keys(&[]), &plan.secrets);
        for config in build.configs() {
            let (_, found) = config.resolve(None, &["execute_command".to_owned()]);
            check_findings(&found, &plan.secrets);
            let (node, found) = config.resolve(Some(&facts), &[]);
            check_findings(&found, &plan.secrets);
            check_node(&node);
            check_place(config.span());
            all.extend(found);
        }
    }
    all
}

fn check_node(node: &Node) {
    check_place(&node.span);
    node.items().iter().for_each(check_node);
    for member in node.members() {
        check_place(&member.key_span);
        check_node(&member.value);
    }
}
