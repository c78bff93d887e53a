//! `fornax docs`: which types there are, and the page of one of them, made of what it says of itself.

use std::io::IsTerminal;

use fornax_core::diagnostic::nearest;
use fornax_core::hcl::functions;
use fornax_core::schema::common::BlockKind;
use serde_json::{Value as Json, json};

use crate::args::{DocsArgs, KindArg, PluginArgs};
use crate::error::{CliError, Exit};
use crate::page::{self, Page};
use crate::target;

/// What stands in place of a type for the functions of HCL2.
const FUNCTIONS: &str = "functions";
/// Columns where no terminal says how many it has.
const WIDTH: usize = 100;

pub async fn run(args: &DocsArgs) -> Result<Exit, CliError> {
    let mut pages = pages(&args.plugins).await?;
    if let Some(kind) = args.kind {
        pages.retain(|page| page.kind == kind.into());
    }
    let Some(name) = &args.type_name else {
        if args.json {
            return Ok(print_json(&json!({"types": pages.iter().map(line).collect::<Vec<_>>()})));
        }
        out!("{}", list(&pages, width()));
        return Ok(Exit::Done);
    };
    if name == FUNCTIONS && args.kind.is_none() {
        let lines: Vec<(String, &str)> =
            functions::names().into_iter().filter_map(functions::describe).collect();
        if args.json {
            let each = |(call, about): &(String, &str)| json!({"call": call, "summary": about});
            return Ok(print_json(&json!({"functions": lines.iter().map(each).collect::<Vec<_>>()})));
        }
        out!("{}", function_list(&lines, width()));
        return Ok(Exit::Done);
    }
    let chosen: Vec<&Page> = pages.iter().filter(|page| page.name == *name).collect();
    if chosen.is_empty() {
        return Err(CliError::failed(unknown(name, args.kind, &pages)));
    }
    if args.json {
        let pages: Vec<Json> = chosen.iter().map(|page| page.json()).collect();
        return Ok(print_json(&json!({"pages": pages})));
    }
    let texts: Vec<String> = chosen.iter().map(|page| page::text(page, width())).collect();
    out!("{}", texts.join("\n"));
    Ok(Exit::Done)
}

/// What every type says of itself, by kind and name.
pub async fn pages(args: &PluginArgs) -> Result<Vec<Page>, CliError> {
    let parts = target::offline(args, None).await?;
    let mut pages: Vec<Page> = parts.catalog.list().iter().map(|e| Page::of_extension(e.info())).collect();
    pages.extend(parts.factories.iter().map(|factory| {
        Page::of_engine(BlockKind::Builder, factory.type_name(), factory.describe(), Vec::new())
    }));
    for (name, description, rights) in target::data(Some(args))?.describe() {
        pages.push(Page::of_engine(BlockKind::DataSource, name, description, rights));
    }
    pages.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
    Ok(pages)
}

fn print_json(value: &Json) -> Exit {
    outln!("{value:#}");
    Exit::Done
}

fn width() -> usize {
    if !std::io::stdout().is_terminal() {
        return WIDTH;
    }
    // A terminal that does not know its size says 0.
    let told = rustix::termios::tcgetwinsize(std::io::stdout()).map_or(0, |size| usize::from(size.ws_col));
    if told == 0 { WIDTH } else { told }
}

fn line(page: &Page) -> Json {
    json!({"kind": page.kind.as_str(), "name": page.name, "summary": page.summary})
}

fn unknown(name: &str, kind: Option<KindArg>, pages: &[Page]) -> String {
    let what = kind.map_or("type", |kind| BlockKind::from(kind).as_str());
    let names = || pages.iter().map(|page| page.name.as_str());
    if kind.is_none()
        && let Some((call, about)) = functions::describe(name)
    {
        return format!("there is no type {name:?}, but a function of HCL2: {call}: {about}");
    }
    let part = || names().find(|known| name.len() > 2 && known.contains(name));
    let help = match nearest(name, names()).or_else(part) {
        Some(near) => format!("did you mean {near:?}?"),
        None => "`fornax docs` lists what there is; name the folder of a plugin with --plugin-dir".to_owned(),
    };
    format!("there is no {what} {name:?}; {help}")
}

/// All types by kind, one a line.
fn list(pages: &[Page], width: usize) -> String {
    let longest = pages.iter().map(|page| page.name.chars().count()).max().unwrap_or_default();
    let mut out = String::new();
    for kind in BlockKind::ALL {
        let of_kind: Vec<&Page> = pages.iter().filter(|page| page.kind == kind).collect();
        if of_kind.is_empty() {
            continue;
        }
        out.push_str(&format!("{}s\n", kind.as_str()));
        for page in of_kind {
            let indent = longest + 4;
            let summary: String = page.summary.chars().filter(|c| !c.is_control()).collect();
            let lines = page::wrap(&summary, width.saturating_sub(indent).max(20));
            let text = lines.join(&format!("\n{:indent$}", ""));
            out.push_str(format!("  {:longest$}  {text}", page.name).trim_end());
            out.push('\n');
        }
        out.push('\n');
    }
    out.push_str(
        "`fornax docs TYPE` shows the options of one, `fornax docs functions` the functions of HCL2.\n",
    );
    out
}

/// Each function as it is called, and below it what it does.
fn function_list(lines: &[(String, &str)], width: usize) -> String {
    let mut out = "functions of HCL2 templates\n".to_owned();
    for (call, about) in lines {
        let about = page::wrap(about, width.saturating_sub(6).max(20)).join("\n      ");
        out.push_str(&format!("  {call}\n      {about}\n"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::Origin;

    fn page(kind: BlockKind, name: &str, summary: &str) -> Page {
        Page {
            kind,
            name: name.into(),
            summary: summary.into(),
            docs: String::new(),
            schema: json!({}),
            examples: Vec::new(),
            origin: Origin { name: "x".into(), version: "1".into(), place: "built-in".into(), digest: None },
            rights: Vec::new(),
        }
    }

    #[test]
    fn types_are_listed_by_kind_and_near_names_are_suggested() {
        let pages = [
            page(BlockKind::PostProcessor, "shell-local", "Runs here"),
            page(BlockKind::Provisioner, "shell", "Runs scripts on the machine"),
        ];
        let expected = "provisioners\n  shell        Runs scripts on the\n               machine\n\npost-processors\n  \
                        shell-local  Runs here\n\n`fornax docs TYPE` shows the options of one, `fornax docs functions` \
                        the functions of HCL2.\n";
        assert_eq!(list(&pages, 34), expected);
        assert!(unknown("shel", None, &pages).ends_with("did you mean \"shell\"?"));
        assert!(unknown("local", None, &pages).ends_with("did you mean \"shell-local\"?"));
        assert!(unknown("upper", None, &pages).contains("a function of HCL2: upper(str)"));
        let far = unknown("zzzzzzz", Some(KindArg::Provisioner), &pages);
        assert!(far.starts_with("there is no provisioner \"zzzzzzz\"") && far.contains("--plugin-dir"));
    }
}
