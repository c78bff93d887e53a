//! HCL2: expressions, variables, syntax verdicts and what `inspect` shows, against what Packer printed.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fornax_core::hcl::functions::{FileKind, Host};
use fornax_core::hcl::parse::parse_expression;
use fornax_core::hcl::print::print;
use fornax_core::hcl::{Allow, Scope, Val, evaluate};
use fornax_core::template::hcl::{
    SettleOptions, Settled, Undeclared, VariableInputs, inspect, parse, settle,
};
use fornax_core::{Diagnostics, SourceFile};
use serde_json::Value as Json;

use crate::null_data::NullData;
use crate::{corpus, judge, lines};

/// A folder of the corpus, or files of a case.
struct Folder {
    base: PathBuf,
    files: BTreeMap<PathBuf, Vec<u8>>,
    env: BTreeMap<String, String>,
}

impl Host for Folder {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        match self.files.get(path) {
            Some(bytes) => Ok(bytes.clone()),
            None => std::fs::read(path),
        }
    }

    fn kind(&self, path: &Path) -> io::Result<FileKind> {
        Ok(match std::fs::metadata(path) {
            _ if self.files.contains_key(path) => FileKind::File,
            Ok(meta) if meta.is_dir() => FileKind::Folder,
            Ok(meta) if meta.is_file() => FileKind::File,
            Ok(_) => FileKind::Other,
            Err(_) => FileKind::Missing,
        })
    }

    fn list(&self, path: &Path) -> io::Result<Vec<(String, FileKind)>> {
        let mut out = Vec::new();
        for entry in std::fs::read_dir(path)? {
            let entry = entry?;
            out.push((entry.file_name().to_string_lossy().into_owned(), self.kind(&entry.path())?));
        }
        out.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(out)
    }

    fn home(&self) -> Option<String> {
        Some("/home/tester".into())
    }

    fn env(&self, name: &str) -> Option<String> {
        self.env.get(name).cloned()
    }

    fn start_time(&self) -> jiff::Timestamp {
        jiff::Timestamp::now()
    }

    fn base_dir(&self) -> &Path {
        &self.base
    }

    fn working_dir(&self) -> &Path {
        &self.base
    }
}

fn settled(
    sources: &[Arc<SourceFile>],
    host: Folder,
    auto_files: Vec<Arc<SourceFile>>,
) -> (Settled, Diagnostics, String) {
    let (template, mut found) = parse(sources);
    let options = SettleOptions {
        inputs: VariableInputs {
            auto_files,
            files: Vec::new(),
            vars: Vec::new(),
            undeclared: Undeclared::Ignore,
        },
        host: Arc::new(host),
        template_dir: ".".into(),
        require_values: false,
        read_data: true,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (settled, more) = runtime.block_on(settle(&template, &options, &NullData));
    found.extend(more);
    let (text, _) = inspect(&template, &settled);
    (settled, found, text)
}

fn folder(base: PathBuf) -> Folder {
    Folder { base, files: BTreeMap::new(), env: BTreeMap::new() }
}

/// What the console prints, or the first finding.
fn answer(settled: &Settled, text: &str) -> Result<String, String> {
    let file = SourceFile::new("<case>", text);
    let (expr, found) = parse_expression(&file);
    let names = settled.console_names();
    let (value, more) = match found.has_errors() {
        true => (Val::NULL, found),
        false => evaluate(&expr, &Scope::new(&names), Allow::ALL, settled.host().as_ref()),
    };
    match more.iter().next() {
        Some(finding) => Err(finding.summary.clone()),
        None => Ok(print(&value)),
    }
}

fn wanted(case: &Json) -> &Json {
    if case["expect_modern"].is_object() { &case["expect_modern"] } else { &case["expect"] }
}

#[test]
fn expressions() {
    let Some(corpus) = corpus("expressions") else { return };
    let scope = corpus.join("cases/hcl2_scope.pkr.hcl");
    let source = SourceFile::new("hcl2_scope.pkr.hcl", std::fs::read_to_string(&scope).unwrap());
    let host = Folder {
        env: BTreeMap::from([("CORPUS_ENV".into(), "from-env".into())]),
        ..folder(corpus.join("cases"))
    };
    let (settled, found, _) = settled(&[source], host, Vec::new());
    assert!(!found.has_errors(), "{found:?}");
    for table in ["hcl2_expr", "modern_expr"] {
        let mut failures = BTreeMap::new();
        for case in lines(&corpus.join(format!("cases/{table}.jsonl"))) {
            let got = answer(&settled, case["expr"].as_str().unwrap());
            let want = wanted(&case);
            let holds = match (&got, want["printed"].as_str()) {
                (Ok(text), Some(printed)) => text == printed,
                (Err(_), None) => true,
                _ => false,
            };
            if !holds {
                failures.insert(
                    case["id"].as_str().unwrap().to_owned(),
                    format!("{}: {got:?}, not {want}", case["expr"]),
                );
            }
        }
        judge(table, failures);
    }
}

#[test]
fn template_files() {
    let Some(corpus) = corpus("template files") else { return };
    let mut failures = BTreeMap::new();
    for case in lines(&corpus.join("cases/templatefile.jsonl")) {
        let mut host = folder(PathBuf::from("/nowhere"));
        let name = case["file"]["name"].as_str().unwrap();
        if let Some(text) = case["file"]["content"].as_str() {
            host.files.insert(Path::new("/nowhere").join(name), text.into());
        }
        let (settled, _, _) = settled(&[], host, Vec::new());
        let call = format!("templatefile(\"{name}\", {})", case["vars_hcl"].as_str().unwrap());
        let got = answer(&settled, &call);
        let want = wanted(&case);
        let value = match &want["value"] {
            Json::String(text) => text.clone(),
            other => other.to_string(),
        };
        if got.is_err() != want["error_contains"].is_string() || got.as_ref().is_ok_and(|g| *g != value) {
            failures.insert(case["id"].as_str().unwrap().to_owned(), format!("{call}: {got:?}, not {want}"));
        }
    }
    judge("templatefile", failures);
}

/// The files of a template as the binary reads them.
fn sources_of(dir: &Path, target: &str) -> (Vec<Arc<SourceFile>>, Vec<Arc<SourceFile>>) {
    let open = |name: &String| SourceFile::new(name, std::fs::read_to_string(dir.join(name)).unwrap());
    if target != "." {
        return (vec![open(&target.to_owned())], Vec::new());
    }
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    let with = |suffix: &str| names.iter().filter(|n| n.ends_with(suffix)).map(open).collect::<Vec<_>>();
    (
        [with(".pkr.hcl"), with(".pkr.json")].concat(),
        [with(".auto.pkrvars.hcl"), with(".auto.pkrvars.json")].concat(),
    )
}

/// `<varies>` stands for what is another at each run.
fn masked(text: &str, varies: &Json) -> String {
    let varies: Vec<&str> = varies.as_array().into_iter().flatten().filter_map(Json::as_str).collect();
    text.split('\n')
        .map(|line| match line.split_once(": ") {
            Some((name, _)) if varies.contains(&name) => format!("{name}: <varies>"),
            _ => line.to_owned(),
        })
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn whole_templates() {
    let Some(corpus) = corpus("whole HCL2 templates") else { return };
    let manifest = std::fs::read_to_string(corpus.join("manifest.tsv")).unwrap();
    let mut rows = manifest.lines().map(|l| l.split('\t').collect::<Vec<_>>());
    let head = rows.next().unwrap();
    let column = |name: &str| head.iter().position(|h| *h == name).unwrap();
    let (id, kind, path, repo, commit) =
        (column("id"), column("kind"), column("path"), column("repo"), column("commit"));
    let rows: BTreeMap<String, Vec<String>> =
        rows.map(|r| (r[id].to_owned(), r.iter().map(|c| (*c).to_owned()).collect())).collect();
    let (mut syntax, mut shown, mut count) = (BTreeMap::new(), BTreeMap::new(), 0);
    for seen in lines(&corpus.join("oracle/modern.jsonl")) {
        let row = &rows[seen["id"].as_str().unwrap()];
        if row[kind] == "json" {
            continue;
        }
        let top =
            corpus.join("templates").join(format!("{}@{}", row[repo].replace('/', "__"), &row[commit][..8]));
        let (dir, single) = match row[kind].as_str() {
            "hcl2" => (top.join(&row[path]), None),
            _ => {
                let full = top.join(&row[path]);
                (
                    full.parent().unwrap().to_owned(),
                    Some(full.file_name().unwrap().to_string_lossy().into_owned()),
                )
            }
        };
        let parts: Vec<(String, &Json)> = match (seen["files"].as_object(), single) {
            (Some(files), _) => files.iter().map(|(name, part)| (name.clone(), part)).collect(),
            (None, Some(name)) => vec![(name, &seen)],
            (None, None) => vec![(".".to_owned(), &seen)],
        };
        for (target, part) in parts {
            if target != "." && !target.ends_with(".pkr.hcl") && !target.ends_with(".pkr.json") {
                continue;
            }
            count += 1;
            let name = format!("{} {target}", row[id]);
            let (files, auto) = sources_of(&dir, &target);
            let (_, found) = parse(&files);
            if found.has_errors() != (part["syntax_only"]["rc"] != 0) {
                syntax.insert(name.clone(), format!("{found:?}"));
            }
            let want = &part["inspect"];
            if want["rc"] != 0 || want["unstable"] == true || !want["stdout"].is_string() {
                continue;
            }
            let (_, _, text) = settled(&files, folder(dir.clone()), auto);
            if masked(&text, &want["varies"]) != want["stdout"].as_str().unwrap() {
                shown.insert(name, "another text".to_owned());
            }
        }
    }
    assert!(count > 60, "{count} templates");
    judge("hcl2_syntax", syntax);
    judge("hcl2_inspect", shown);
}
