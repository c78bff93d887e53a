//! The blocks of the result.

use super::body::text_value;
use super::names::{default_of, sorted};
use super::{Place, Writer};
use crate::build::go_duration;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::hcl::write::{Item, Piece, Value, quote};
use crate::source::Span;
use crate::template::{BuilderBlock, PostProcessorBlock, ProvisionerBlock, Template};
use crate::value::{Member, Node, Value as Json};

/// Plugins that Packer itself names in a converted template: their components begin with the plugin's name.
const PLUGINS: &[&str] = &[
    "amazon",
    "ansible",
    "azure",
    "docker",
    "googlecompute",
    "qemu",
    "vagrant",
    "virtualbox",
    "vmware",
    "vsphere",
];

/// Builders that need no plugin.
const BUILT_IN: &[&str] = &["null", "file"];

/// How an amazon builder gets at its account, which a data source has to know too.
const AMAZON_ACCESS: &[&str] = &[
    "access_key",
    "assume_role",
    "aws_polling",
    "custom_endpoint_ec2",
    "decode_authorization_messages",
    "insecure_skip_tls_verify",
    "max_retries",
    "mfa_code",
    "profile",
    "region",
    "secret_key",
    "shared_credentials_file",
    "skip_credential_validation",
    "skip_metadata_api_check",
    "token",
    "vault_aws_engine",
];

/// The `packer` block, if there is anything to say in it.
pub(super) fn packer(template: &Template, findings: &mut Diagnostics) -> Option<Item> {
    let plugin = |kind: &str| PLUGINS.iter().find(|p| kind.starts_with(**p)).copied();
    for builder in &template.builders {
        if plugin(&builder.type_name).is_none() && !BUILT_IN.contains(&builder.type_name.as_str()) {
            findings.push(
                Diagnostic::warning(
                    "upgrade/unknown-plugin",
                    format!("it is not known which plugin has the builder \"{}\"", builder.type_name),
                )
                .at(&builder.type_span)
                .help("add that plugin to required_plugins"),
            );
        }
    }
    let provisioners = template.provisioners.iter().chain(&template.error_cleanup).map(|p| &p.type_name);
    let post_processors = template.post_processors.iter().flatten().map(|p| &p.type_name);
    let types = template.builders.iter().map(|b| &b.type_name).chain(provisioners).chain(post_processors);
    let mut plugins: Vec<&str> = types.filter_map(|kind| plugin(kind)).collect();
    plugins.sort_unstable();
    plugins.dedup();

    let mut body = Vec::new();
    if let Some((version, _)) = &template.min_version {
        body.push(Item::attribute("required_version", text_value(format!(">= {version}"))));
    }
    if !plugins.is_empty() {
        let entry = |plugin: &&str| {
            let members = vec![
                ("source".to_owned(), text_value(format!("github.com/hashicorp/{plugin}"))),
                ("version".to_owned(), text_value("~> 1")),
            ];
            Item::attribute(plugin, Value::Object(members))
        };
        body.push(Item::block("required_plugins", &[], plugins.iter().map(entry).collect()));
    }
    (!body.is_empty()).then(|| Item::block("packer", &[], body))
}

impl Writer {
    pub(super) fn variables(&mut self, template: &Template) -> Vec<Item> {
        let mut blocks = Vec::new();
        for variable in &template.variables {
            let (name, is_local) = self.names.variable(&variable.name);
            let name = name.to_owned();
            if name != variable.name {
                let what = format!("the variable \"{}\" is called {name} in HCL2", variable.name);
                let note = Diagnostic::note("upgrade/new-name", what).at(&variable.span);
                self.findings.push(note.help("use the new name with -var and in variable files"));
            }
            if is_local {
                continue;
            }
            let default = default_of(variable).map(|d| self.text(d, &variable.value_span, Place::Variable));
            let sensitive = is_sensitive(template, &variable.name);
            let block = variable_block(&name, default, sensitive);
            blocks.push(self.with_problems(block));
        }
        blocks.extend(self.names.undeclared().iter().map(|name| {
            let sensitive = is_sensitive(template, name);
            variable_block(self.names.variable(name).0, None, sensitive)
        }));
        blocks
    }

    /// Variables that locals read the environment through.
    pub(super) fn environment_variables(&mut self) -> Vec<Item> {
        let block = |(name, (env, sensitive)): (&String, &(String, bool))| {
            let env = quote(&[Piece::Text(env.clone())]);
            variable_block(name, Some(vec![Piece::Code(format!("env({env})"))]), *sensitive)
        };
        self.environment.iter().map(block).collect()
    }

    /// Sensitive ones in a block each, the others in one.
    pub(super) fn locals(&mut self, template: &Template) -> Vec<Item> {
        let mut locals: Vec<_> = template
            .variables
            .iter()
            .filter_map(|v| match self.names.variable(&v.name) {
                (name, true) => Some((name.to_owned(), v)),
                _ => None,
            })
            .collect();
        locals.sort_by(|a, b| a.0.cmp(&b.0));
        if let Some((_, first)) = locals.first() {
            let names: Vec<&str> = locals.iter().map(|(_, v)| v.name.as_str()).collect();
            self.findings.push(
                Diagnostic::note(
                    "upgrade/now-a-local",
                    "variables that are made of others or of functions become locals",
                )
                .at(&first.span)
                .detail(format!("-var and variable files can't set a local: {}", names.join(", ")))
                .help("if one of them is set from outside, make it a variable whose default is a plain text"),
            );
        }
        let (secret, open): (Vec<_>, Vec<_>) =
            locals.into_iter().partition(|(_, v)| is_sensitive(template, &v.name));
        let mut blocks = Vec::new();
        for (name, variable) in secret {
            let known = self.environment.len();
            let text =
                self.text(default_of(variable).unwrap_or_default(), &variable.value_span, Place::Local);
            if self.environment.len() > known {
                // What a secret is made of is secret.
                let read: Vec<&Piece> = text.iter().filter(|p| matches!(p, Piece::Code(_))).collect();
                for (name, (_, sensitive)) in &mut self.environment {
                    let reference = format!("var.{name}");
                    *sensitive |= read.iter().any(|p| matches!(p, Piece::Code(c) if c.contains(&reference)));
                }
            }
            let body = vec![
                Item::attribute("sensitive", Value::Code("true".to_owned())),
                Item::attribute("expression", Value::Template(text)),
            ];
            let block = Item::block("local", &[&name], body);
            blocks.push(self.with_problems(block));
        }
        let mut body = Vec::new();
        for (name, variable) in open {
            let text =
                self.text(default_of(variable).unwrap_or_default(), &variable.value_span, Place::Local);
            body.push(Item::attribute(&name, Value::Template(text)));
        }
        if !body.is_empty() {
            let block = Item::block("locals", &[], body);
            blocks.push(self.with_problems(block));
        }
        blocks
    }

    pub(super) fn secret_sources(&self) -> Vec<Item> {
        let block = |(i, (name, key)): (usize, &(String, Option<String>))| {
            let key = key.iter().map(|key| Item::attribute("key", text_value(key.clone())));
            let body = key.chain([Item::attribute("name", text_value(name.clone()))]).collect();
            Item::block("data", &["amazon-secretsmanager", &format!("autogenerated_{}", i + 1)], body)
        };
        self.secrets.iter().enumerate().map(block).collect()
    }

    pub(super) fn sources(&mut self, template: &Template) -> Vec<Item> {
        let builders = sorted(template);
        // Data sources are written before the sources, so their calls are numbered first.
        let mut bodies: Vec<Vec<Item>> = Vec::new();
        let images: Vec<Option<String>> =
            builders.iter().map(|builder| self.image(builder, &mut bodies)).collect();
        let mut blocks = Vec::new();
        for (builder, image) in builders.into_iter().zip(images) {
            let mut members = builder.config.members().to_vec();
            let mut more = Vec::new();
            if let Some(name) = image {
                members.retain(|m| m.key != "source_ami_filter");
                let id = format!("data.amazon-ami.{name}.id");
                more.push(("source_ami", Value::Template(vec![Piece::Code(id)])));
            }
            let body = self.body(&members, more, Place::Source);
            let label = self.type_label(&builder.type_name, &builder.type_span);
            let block = Item::block("source", &[&label, self.names.source(&builder.raw_name)], body);
            blocks.push(self.with_problems(block));
        }
        blocks
    }

    /// The data source that finds the image of an amazon builder; builders that look for the same share one.
    fn image(&mut self, builder: &BuilderBlock, known: &mut Vec<Vec<Item>>) -> Option<String> {
        let filter =
            builder.config.get("source_ami_filter").filter(|_| builder.type_name.starts_with("amazon-"))?;
        let access = builder.config.members().iter().filter(|m| AMAZON_ACCESS.contains(&m.key.as_str()));
        let members: Vec<Member> = filter.members().iter().chain(access).cloned().collect();
        let body = self.body(&members, Vec::new(), Place::Source);
        let index = known.iter().position(|other| *other == body);
        let name = format!("autogenerated_{}", index.unwrap_or(known.len()) + 1);
        if index.is_none() {
            let block = Item::block("data", &["amazon-ami", &name], body.clone());
            let block = self.with_problems(block);
            self.images.push(block);
            known.push(body);
        }
        self.problems.clear();
        Some(name)
    }

    pub(super) fn build(&mut self, template: &Template) -> Option<Item> {
        let builders = sorted(template);
        if builders.is_empty() {
            return None;
        }
        let mut body = Vec::new();
        if let Some(description) = template.description.as_ref().filter(|d| !d.is_empty()) {
            body.extend([Item::attribute("description", text_value(description.clone())), Item::Blank]);
        }
        let source = |b: &&BuilderBlock| text_value(format!("source.{}", self.names.build(&b.raw_name)));
        body.push(Item::attribute("sources", Value::List(builders.iter().map(source).collect())));
        body.push(Item::Blank);
        let provisioners = template.provisioners.iter().map(|p| ("provisioner", p));
        let cleanup = template.error_cleanup.iter().map(|p| ("error-cleanup-provisioner", p));
        for (kind, provisioner) in provisioners.chain(cleanup) {
            let block = self.provisioner(kind, provisioner);
            body.extend([self.with_problems(block), Item::Blank]);
        }
        for sequence in &template.post_processors {
            let mut blocks: Vec<Item> = sequence.iter().map(|p| self.post_processor(p)).collect();
            let block = match blocks.len() {
                0 => continue,
                1 => blocks.remove(0),
                _ => Item::block("post-processors", &[], blocks),
            };
            body.push(self.with_problems(block));
        }
        Some(Item::block("build", &[], body))
    }

    fn provisioner(&mut self, kind: &str, provisioner: &ProvisionerBlock) -> Item {
        let mut more = self.selection(&provisioner.selection);
        if let Some(retries) = &provisioner.max_retries {
            let retries = match &retries.value {
                Json::Number(n) => text_value(n.to_string()),
                _ => self.value(retries, Place::Step),
            };
            more.push(("max_retries", retries));
        }
        if let Some(timeout) = provisioner.timeout.filter(|t| !t.is_zero()) {
            more.push(("timeout", text_value(go_duration(timeout))));
        }
        if !provisioner.pause_before.is_zero() {
            more.push(("pause_before", text_value(go_duration(provisioner.pause_before))));
        }
        if !provisioner.overrides.is_empty() {
            // Overrides are looked up by the name of the source.
            let renamed: Vec<Member> = provisioner
                .overrides
                .iter()
                .map(|m| Member { key: self.names.source(&m.key).to_owned(), ..m.clone() })
                .collect();
            let span = renamed[0].value.span.clone();
            let overrides = self.value(&Node::new(Json::Object(renamed), span), Place::Step);
            more.push(("override", overrides));
        }
        let body = self.body(provisioner.config.members(), more, Place::Step);
        let label = self.type_label(&provisioner.type_name, &provisioner.type_span);
        Item::block(kind, &[&label], body)
    }

    /// A type as the label of its block. A label holds no expressions, so that the signs which a text would need one for
    /// can't be written there.
    fn type_label(&mut self, name: &str, span: &Span) -> String {
        if ["$${", "%%{"].iter().all(|signs| !name.contains(signs)) {
            return name.to_owned();
        }
        self.problem(
            span,
            &format!("the type {name:?} can't be the label of a block"),
            "name a type without $ and % before {",
        );
        name.replace(['$', '%'], "_")
    }

    fn post_processor(&mut self, block: &PostProcessorBlock) -> Item {
        let mut more = self.selection(&block.selection);
        if block.name != block.type_name {
            more.push(("name", text_value(block.name.clone())));
        }
        let mut body = Vec::new();
        if let Some(keep) = block.keep_input_artifact {
            body.push(Item::attribute("keep_input_artifact", Value::Code(keep.to_string())));
        }
        body.extend(self.body(block.config.members(), more, Place::Step));
        let label = self.type_label(&block.type_name, &block.type_span);
        Item::block("post-processor", &[&label], body)
    }
}

fn variable_block(name: &str, default: Option<Vec<Piece>>, sensitive: bool) -> Item {
    let mut body = vec![Item::attribute("type", Value::Code("string".to_owned()))];
    body.extend(default.map(|d| Item::attribute("default", Value::Template(d))));
    if sensitive {
        body.push(Item::attribute("sensitive", Value::Code("true".to_owned())));
    }
    Item::block("variable", &[name], body)
}

fn is_sensitive(template: &Template, name: &str) -> bool {
    template.sensitive.iter().any(|(sensitive, _)| sensitive == name)
}
