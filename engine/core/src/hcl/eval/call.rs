//! Calls of functions, and those that are no functions but forms: `try` and `can` look at whether an expression can be
//! evaluated, `convert` takes a type, `templatefile` evaluates a file, `env` is allowed in some places only.

use std::path::Path;

use super::{
    BTreeMap, Diagnostic, Evaluator, Expr, Scope, Span, Type, Val, convert, describe, nearest, text,
};
use crate::hcl::functions::{self, CallError, FileKind};
use crate::hcl::lex::is_identifier;
use crate::hcl::parse::parse_template;
use crate::hcl::typexpr::type_of;
use crate::source::SourceFile;

/// Forms that are not in the table of functions.
pub(crate) const FORMS: [&str; 5] = ["can", "convert", "env", "templatefile", "try"];
/// Bytes of a template file.
const MAX_TEMPLATE: usize = 16 << 20;

impl Evaluator<'_> {
    pub(super) fn call(
        &mut self,
        name: &str,
        name_span: &Span,
        args: &[Expr],
        expand: bool,
        scope: &Scope<'_>,
        span: &Span,
    ) -> Val {
        if !self.allow.functions {
            return self.wrong(
                Diagnostic::error("hcl/functions-not-allowed", "functions can't be called here")
                    .at(name_span)
                    .help("write the value itself, or compute it in locals"),
            );
        }
        match name {
            "try" => return self.try_call(args, scope, span),
            "can" => return self.can_call(args, scope, span),
            "convert" => return self.convert_call(args, scope, span),
            "templatefile" if self.allow.template_files => return self.template_file(args, scope, span),
            "templatefile" => {
                return self.wrong(
                    Diagnostic::error("hcl/template-recursion", "a template file can't call templatefile")
                        .at(name_span)
                        .help("pass the text of the other file as one of the variables"),
                );
            }
            "env" if self.allow.env => return self.env_call(args, scope, span),
            "env" => {
                return self.wrong(
                    Diagnostic::error(
                        "hcl/env-not-allowed",
                        "env can be called in the default of a variable only",
                    )
                    .at(name_span)
                    .help("declare a variable with default = env(\"NAME\") and refer to it"),
                );
            }
            _ => {}
        }
        let Some((values, spans)) = self.arguments(args, expand, scope) else { return Val::DYNAMIC };
        match functions::call(name, values, self.host) {
            Ok(value) => {
                let items = value.items().map_or(0, <[Val]>::len);
                if !self.count(items, span) {
                    return Val::DYNAMIC;
                }
                value
            }
            Err(error) => self.failed(name, name_span, &error, &spans, span),
        }
    }

    fn failed(
        &mut self,
        name: &str,
        name_span: &Span,
        error: &CallError,
        spans: &[Span],
        span: &Span,
    ) -> Val {
        let finding = match error {
            CallError::NoFunction(_) => {
                let near = nearest(name, functions::names().into_iter().chain(FORMS));
                let help = match near {
                    Some(near) => format!("did you mean \"{near}\"?"),
                    None => "`fornax docs functions` lists all functions".to_owned(),
                };
                Diagnostic::error("hcl/unknown-function", format!("there is no function \"{name}\""))
                    .at(name_span)
                    .help(help)
            }
            CallError::Argument { index, parameter, message } => Diagnostic::error(
                "hcl/argument",
                format!("the argument \"{parameter}\" of \"{name}\" can't be used: {message}"),
            )
            .at(spans.get(*index).unwrap_or(span)),
            CallError::TooFew { .. } | CallError::TooMany { .. } => {
                Diagnostic::error("hcl/argument-count", error.to_string()).at(span)
            }
            CallError::Failed(message) => {
                Diagnostic::error("hcl/function-failed", format!("\"{name}\" failed: {message}")).at(span)
            }
        };
        let finding = match functions::describe(name) {
            Some((form, about)) if finding.help.is_none() => finding.help(format!("{form}: {about}")),
            _ => finding,
        };
        self.wrong(finding)
    }

    /// The values of the arguments, and where each comes from.
    fn arguments(&mut self, args: &[Expr], expand: bool, scope: &Scope<'_>) -> Option<(Vec<Val>, Vec<Span>)> {
        let mut values = Vec::with_capacity(args.len());
        let mut spans = Vec::with_capacity(args.len());
        for (i, arg) in args.iter().enumerate() {
            let value = self.eval(arg, scope);
            if !expand || i + 1 < args.len() {
                values.push(value);
                spans.push(arg.span.clone());
                continue;
            }
            match value.items() {
                Some(items) => {
                    spans.extend(items.iter().map(|_| arg.span.clone()));
                    values.extend(items.iter().cloned());
                }
                None if value.is_known() => {
                    self.wrong(
                        Diagnostic::error("hcl/expand", "only a list can be expanded with `...`")
                            .at(&arg.span)
                            .detail(format!("here is {}", describe(&value))),
                    );
                    return None;
                }
                None => return None,
            }
        }
        Some((values, spans))
    }

    fn count_of(&mut self, name: &str, form: &str, fits: bool, span: &Span) -> bool {
        if !fits {
            self.wrong(
                Diagnostic::error(
                    "hcl/argument-count",
                    format!("\"{name}\" is called with a wrong number of arguments"),
                )
                .at(span)
                .help(format!("write {form}")),
            );
        }
        fits
    }

    /// Evaluates without telling; the findings are returned.
    fn quietly(&mut self, expr: &Expr, scope: &Scope<'_>) -> (Val, crate::Diagnostics) {
        let before = std::mem::take(&mut self.found);
        let value = self.eval(expr, scope);
        (value, std::mem::replace(&mut self.found, before))
    }

    fn try_call(&mut self, args: &[Expr], scope: &Scope<'_>, span: &Span) -> Val {
        if !self.count_of("try", "try(expression, other, …)", !args.is_empty(), span) {
            return Val::DYNAMIC;
        }
        let mut last = None;
        for arg in args {
            let (value, found) = self.quietly(arg, scope);
            if !found.has_errors() {
                return value;
            }
            last = found.into_iter().next();
        }
        let detail = last.map(|d| d.summary).unwrap_or_default();
        self.wrong(
            Diagnostic::error("hcl/try", "none of these expressions can be evaluated")
                .at(span)
                .detail(format!("the last one: {detail}"))
                .help("add a last argument that always works, such as null"),
        )
    }

    fn can_call(&mut self, args: &[Expr], scope: &Scope<'_>, span: &Span) -> Val {
        let [arg] = args else {
            self.count_of("can", "can(expression)", false, span);
            return Val::Unknown(Type::Bool);
        };
        let (value, found) = self.quietly(arg, scope);
        if found.has_errors() {
            return Val::bool(false);
        }
        if value.is_wholly_known() { Val::bool(true) } else { Val::Unknown(Type::Bool) }
    }

    fn convert_call(&mut self, args: &[Expr], scope: &Scope<'_>, span: &Span) -> Val {
        let [value, ty] = args else {
            self.count_of("convert", "convert(value, type)", false, span);
            return Val::DYNAMIC;
        };
        let ty = match type_of(ty, self.host) {
            Ok(ty) => ty,
            Err(finding) => return self.wrong(finding),
        };
        let from = self.eval(value, scope);
        match convert(from, &ty) {
            Ok(value) => value,
            Err(error) => self.wrong(
                Diagnostic::error("hcl/convert", format!("this can't be converted: {error}")).at(&value.span),
            ),
        }
    }

    fn env_call(&mut self, args: &[Expr], scope: &Scope<'_>, span: &Span) -> Val {
        let [arg] = args else {
            self.count_of("env", "env(\"NAME\")", false, span);
            return Val::Unknown(Type::String);
        };
        let value = self.eval(arg, scope);
        match text(&value) {
            Some(name) => Val::string(self.host.env(&name.expose()).unwrap_or_default()),
            None if value.is_known() => self.wrong(
                Diagnostic::error("hcl/argument", "the name of an environment variable is a text")
                    .at(&arg.span),
            ),
            None => Val::Unknown(Type::String),
        }
    }

    fn template_file(&mut self, args: &[Expr], scope: &Scope<'_>, span: &Span) -> Val {
        let [path_expr, vars_expr] = args else {
            self.count_of("templatefile", "templatefile(path, variables)", false, span);
            return Val::DYNAMIC;
        };
        let (path, vars) = (self.eval(path_expr, scope), self.eval(vars_expr, scope));
        let (Some(path), Some(names)) = (text(&path), vars.fields()) else {
            if path.is_known() && vars.is_known() {
                self.wrong(
                    Diagnostic::error("hcl/argument", "templatefile takes a path and an object of variables")
                        .at(span)
                        .help("write templatefile(\"file.tpl\", { name = value })"),
                );
            }
            return Val::DYNAMIC;
        };
        if let Some(name) = names.keys().find(|n| !is_identifier(n)) {
            return self.wrong(
                Diagnostic::error("hcl/argument", format!("{name:?} can't be the name of a variable"))
                    .at(&vars_expr.span)
                    .detail("a name begins with a letter and goes on with letters, digits, _ and -"),
            );
        }
        let shown = path.masked();
        let file = match self.read_template(Path::new(&path.expose()), &shown) {
            Ok(file) => file,
            Err(message) => {
                return self.wrong(Diagnostic::error("hcl/template-file", message).at(&path_expr.span));
            }
        };
        let (template, found) = parse_template(&file);
        let mut inner = found;
        let mut value = Val::DYNAMIC;
        if !inner.has_errors() {
            for reference in template.references() {
                if !names.contains_key(&reference.root) {
                    inner.push(
                        Diagnostic::error(
                            "hcl/template-variable",
                            format!(
                                "vars map does not contain key \"{}\", which the template uses",
                                reference.root
                            ),
                        )
                        .at(&reference.span)
                        .help(format!("add {} = … to the variables of the call", reference.root)),
                    );
                }
            }
        }
        if !inner.has_errors() {
            let allow = super::Allow { template_files: false, env: false, ..super::Allow::ALL };
            let names: BTreeMap<String, Val> = names.clone();
            let (items, copied) = (self.items, self.copied);
            let mut evaluator = Evaluator { allow, host: self.host, found: inner, items, copied };
            value = evaluator.eval(&template, &Scope::new(&names));
            (self.items, self.copied) = (evaluator.items, evaluator.copied);
            inner = evaluator.found;
        }
        for finding in inner {
            self.found.push(finding.related(span, "the file is used here"));
        }
        value
    }

    fn read_template(&self, path: &Path, shown: &str) -> Result<std::sync::Arc<SourceFile>, String> {
        let full = self.host.base_dir().join(path);
        match self.host.kind(&full) {
            Ok(FileKind::File) => {}
            Ok(FileKind::Missing) => {
                return Err(format!("no file exists at {shown}; paths start in the folder of the template"));
            }
            Ok(_) => return Err(format!("{shown} is no file")),
            Err(error) => return Err(format!("{shown} can't be read: {error}")),
        }
        let bytes = self.host.read(&full).map_err(|e| format!("{shown} can't be read: {e}"))?;
        if bytes.len() > MAX_TEMPLATE {
            return Err(format!("{shown} is larger than 16 MiB"));
        }
        let text = String::from_utf8(bytes).map_err(|_| format!("{shown} is not UTF-8"))?;
        // As one would open it from here, unless the path is a secret.
        let from_here =
            full.strip_prefix(self.host.working_dir()).ok().map(|path| path.display().to_string());
        let name = from_here.filter(|_| path.to_str() == Some(shown)).unwrap_or_else(|| shown.to_owned());
        Ok(SourceFile::new(name, text))
    }
}
